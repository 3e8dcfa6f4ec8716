"""What to look at, by the check that failed, and why it matters."""

__all__ = ["ADVICE"]

ADVICE = {
    "sizes": "The last batch of an epoch and new data have other sizes. Look for numbers in view, reshape, zeros, "
    "expand and Linear(nodes * features, …), and for x.mean(0) in place of a readout by `batch`; take the number of "
    "nodes from x.size(0), that of graphs from the batch.",
    "repeatable": "Validation and test results become noise. Give F.dropout training=self.training, draw noise only "
    "when training, and keep no state from call to call.",
    "inputs unchanged": "The next epoch or layer then reads other data. Don't use operations that end in _, x[…] = … "
    "or x += … on arguments, and don't assign to attributes of a Data: work on new tensors.",
    "targets": "Such scores are worth nothing: new data come without y. Look for data.y in forward.",
    "finite numbers": "One NaN spreads to every weight in one step. Look for a division by a norm, a deviation or a "
    "count (x / x.norm()), log(0), sqrt and norm at 0, and exp of large numbers: add an epsilon inside, or clamp "
    "before.",
    "node order": "Nodes have no order of their own: what is learned with one numbering fails with another. Look for "
    "indexing by position (x[0], x[-1]), reshaping over nodes, a recurrent layer, a cumulative sum or a positional "
    "encoding over them, or sorting by index.",
    "edge order": "The columns of edge_index are a set: loaders and transforms reorder them. Merge messages by a "
    "sum, a mean, a maximum or attention; out[receivers] = … keeps only the last edge: use index_add.",
    "batched = separate": "A prediction depends on its neighbours in the loader. Compute means, norms, softmax and "
    "sorts of each graph, by `batch`.",
    "isolated nodes": "Take sizes from the features, x.size(0), never from edge_index.max() + 1, and divide by no "
    "count that may be 0: add self-loops, or deg.clamp(min=1). Look also for a softmax or maximum over nothing.",
    "no edges": "A molecule of one atom has none. Take sizes from the features, x.size(0), never from "
    "edge_index.max() + 1, and divide by no count that may be 0.",
    "direction of edges": "An edge leads from source to target, in a tree from child to parent, and a node reads the "
    "sources of its edges. Look for edge_index[0] and [1] swapped, Sweep(reverse=True), topology.reverse(), "
    'flow="target_to_source", and for a convolution that is made and not called. It is fine where it is intended.',
    "empty graph in a batch": "Count graphs by num_graphs or batch.max() + 1, not by unique(batch); clamp their "
    "sizes before dividing by them.",
    "no nodes": "Filters and splits leave such graphs: handle them, or leave them out. Take sizes from the features, "
    "x.size(0), never from edge_index.max() + 1, and divide by no count that may be 0.",
    "state_dict": "Optimizers and checkpoints miss what is not registered. Keep sub-modules in nn.ModuleList or "
    "nn.ModuleDict, tensors as nn.Parameter or by register_buffer, and draw nothing at random outside of them.",
    "gradients of parameters": "They keep their initial values. Look for layers that are made and not called, "
    "detach(), .data, torch.no_grad(), argmax or rounding on the way, and a part that is multiplied by 0 or never "
    "active.",
    "gradients of inputs": "Look for detach(), .data, a cast to integers, argmax, or a slice of x that leaves "
    "columns out. If nodes are chosen by a score, it may be intended that some get none.",
    "dtype": "model.double() is how gradients are checked, and half precision how large models run. Make new tensors "
    "like others (x.new_zeros(…)), and keep constants as buffers. Where digits cancel, look for differences of large "
    "numbers, E[x²] - E[x]², long products, and exp without subtracting the maximum.",
    "device": "Make new tensors where others are (x.new_zeros(…), device=x.device), and keep constants as buffers.",
    "small batches in training": "The last batch of an epoch may be so small: DataLoader(drop_last=True) leaves it "
    "out; LayerNorm, unlike BatchNorm and std(), needs no second row.",
}  # fmt: skip
