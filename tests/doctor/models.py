"""Models with one fault each, and sound ones that are called in different ways."""

import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.nn import GCNConv, global_add_pool, global_max_pool, global_mean_pool
from torch_geometric.utils import scatter

import graphseq as gs

F_IN, H, C = 6, 8, 3


class Base(nn.Module):
    """A sound network of one convolution and one linear layer, for others to spoil."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = GCNConv(F_IN, H), nn.Linear(H, C)

    def forward(self, x, edge_index):
        return self.out(torch.tanh(self.conv(x, edge_index)))


class PooledBase(Base):
    def forward(self, x, edge_index, batch):
        return self.pool(super().forward(x, edge_index), batch)

    def pool(self, h, batch):
        return global_mean_pool(h, batch)


class ByPosition(Base):
    def forward(self, x, edge_index):
        return super().forward(x, edge_index) * torch.linspace(1, 2, max(x.size(0), 1)).to(x)[: x.size(0), None]


class ByLabelOrder(PooledBase):
    """Reads out the first node of each graph."""

    def pool(self, h, batch):
        first = torch.ones_like(batch, dtype=torch.bool)
        first[1:] = batch[1:] != batch[:-1]
        return global_add_pool(h * first[:, None], batch)


class LastEdgeWins(Base):
    def forward(self, x, edge_index):
        received = torch.zeros_like(x)
        received[edge_index[1]] = x[edge_index[0]]
        return super().forward(x + received, edge_index)


class MixesBatch(Base):
    def forward(self, x, edge_index, batch):
        h = super().forward(x, edge_index)
        return global_add_pool(h.softmax(0), batch)


class CountsByEdges(Base):
    def forward(self, x, edge_index):
        h = super().forward(x, edge_index)
        return scatter(h[edge_index[0]], edge_index[1], dim_size=int(edge_index.max()) + 1) + h


class DividesByDegree(Base):
    def forward(self, x, edge_index):
        degree = torch.bincount(edge_index[1], minlength=x.size(0)).to(x)[:, None]
        return super().forward(x, edge_index) / degree


class CountsUnique(PooledBase):
    def pool(self, h, batch):
        graphs, code = torch.unique(batch, return_inverse=True)
        return scatter(h, code, dim_size=graphs.numel())


class SpoiltByEmpty(PooledBase):
    """Weights graphs by how many there are."""

    def pool(self, h, batch):
        total = global_mean_pool(h, batch)
        return total / max(total.size(0), 1)


class NormOfNothing(Base):
    def forward(self, x, edge_index):
        return super().forward(x / x.norm(dim=1, keepdim=True), edge_index)


class RootOfNothing(Base):
    """Finite results, infinite gradients."""

    def forward(self, x, edge_index):
        return super().forward(x, edge_index) + x.square().sum(1, keepdim=True).sqrt()


class AlwaysNaN(Base):
    def forward(self, x, edge_index):
        return super().forward(x, edge_index) + torch.log(-x.square().sum(1, keepdim=True))


class SinglePrecision(Base):
    def forward(self, x, edge_index):
        return super().forward(x, edge_index) @ torch.eye(C)


class FallsBack(Base):
    def forward(self, x, edge_index):
        return super().forward(x, edge_index).float()


class Cancels(Base):
    def forward(self, x, edge_index):
        h = super().forward(x, edge_index)
        return (h + 1e5) - 1e5


class Unused(Base):
    def __init__(self):
        super().__init__()
        self.forgotten = nn.Linear(2, 2)


class TimesZero(Base):
    def __init__(self):
        super().__init__()
        self.silent = nn.Linear(F_IN, C)

    def forward(self, x, edge_index):
        return super().forward(x, edge_index) + 0 * self.silent(x)


class Detached(Base):
    def forward(self, x, edge_index):
        return super().forward(x.detach(), edge_index)


class DropsColumn(Base):
    def forward(self, x, edge_index):
        return super().forward(torch.cat([x[:, :-1], torch.zeros_like(x[:, :1])], 1), edge_index)


class InPlace(Base):
    def forward(self, x, edge_index):
        x += 1
        return super().forward(x, edge_index)


class InPlaceWhenTraining(Base):
    def forward(self, x, edge_index):
        if self.training:
            edge_index[0].zero_()
        return super().forward(x, edge_index)


class AssignsToData(Base):
    def forward(self, data):
        data.x = super().forward(data.x, data.edge_index)
        return data.x


class AddsToData(Base):
    def forward(self, data):
        data.hidden = super().forward(data.x, data.edge_index)
        return data.hidden


class DropsInEval(Base):
    def forward(self, x, edge_index):
        return F.dropout(super().forward(x, edge_index), 0.5)


class OutsideState(Base):
    def __init__(self):
        super().__init__()
        self.mask = torch.rand(C)

    def forward(self, x, edge_index):
        return super().forward(x, edge_index) * self.mask.to(x)


class ListOfLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(F_IN, C)]
        self.bias = nn.Parameter(torch.zeros(C))

    def forward(self, x, edge_index):
        return self.layers[0](x) + self.bias


class Normalised(Base):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(C)

    def forward(self, x, edge_index):
        return self.norm(super().forward(x, edge_index))


class Whitens(Base):
    """NaN on one row in training mode."""

    def forward(self, x, edge_index):
        h = super().forward(x, edge_index)
        return h / h.std(0) if self.training else h


# Sound ones, by the way they are called.


class OfData(PooledBase):
    def forward(self, data):
        return super().forward(data.x, data.edge_index, data.batch)


class OfDataWithEdges(Base):
    def __init__(self):
        super().__init__()
        self.edges = nn.Linear(5, H)

    def forward(self, batch):
        sent = self.edges(batch.edge_attr)
        received = scatter(sent, batch.edge_index[1], dim_size=batch.num_nodes)
        return self.out(self.conv(batch.x, batch.edge_index) + received)


class Weighted(Base):
    def forward(self, x, edge_index, edge_weight):
        return self.out(torch.tanh(self.conv(x, edge_index, edge_weight)))


class WithEdges(Base):
    def __init__(self, in_channels, edge_dim, num_classes):
        super().__init__()
        self.conv, self.edges, self.out = GCNConv(in_channels, H), nn.Linear(edge_dim, H), nn.Linear(H, num_classes)

    def forward(self, x, edge_index, edge_attr):
        sent = self.edges(edge_attr)
        return self.out(self.conv(x, edge_index) + scatter(sent, edge_index[1], dim_size=x.size(0)))


class ScoresEdges(Base):
    def forward(self, x, edge_index):
        h = super().forward(x, edge_index)
        return (h[edge_index[0]] * h[edge_index[1]]).sum(1)


class Symbols(nn.Module):
    def __init__(self, vocab_size, hidden_dim, out_dim):
        super().__init__()
        self.embedding, self.conv = nn.Embedding(vocab_size, hidden_dim), GCNConv(hidden_dim, out_dim)

    def forward(self, tokens, edge_index):
        return self.conv(self.embedding(tokens), edge_index)


class OnTrees(nn.Module):
    """Reads out roots."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.lstm = gs.nn.TreeLSTM(input_size, hidden_size)

    def forward(self, x, tree: gs.Topology):
        h, _ = self.lstm(x, tree)
        if int(tree.out_degree.max() if tree.num_nodes else 0) > 1:
            raise ValueError("only trees")
        return gs.nn.readout(h[tree.roots], tree.batch[tree.roots], "sum", num_graphs=tree.num_graphs)


class OfRoots(nn.Module):
    """A row for each root: as many as nodes where there are no edges, none for an empty tree."""

    def __init__(self):
        super().__init__()
        self.layer, self.classifier = gs.nn.TreeLSTM(8, 16, kind="child-sum"), nn.Linear(16, 2)

    def forward(self, x, trees):
        h, _ = self.layer(x, trees)
        return self.classifier(h[trees.roots])


class OfRootsOrdered(OfRoots):
    """The same with trees alone, whose children have places."""

    def __init__(self):
        super().__init__()
        self.layer = gs.nn.TreeLSTM(8, 16, kind="nary", arity=2)


class DropsSingles(OfRoots):
    """Forgets the roots where there is no edge."""

    def forward(self, x, trees):
        h, _ = self.layer(x, trees)
        return self.classifier(h[trees.roots if trees.num_edges else trees.roots[:0]])


class Several(PooledBase):
    def forward(self, x, edge_index, batch):
        h = Base.forward(self, x, edge_index)
        return {"nodes": h, "graphs": (global_max_pool(h, batch), 3)}


class OfSets(nn.Module):
    """Sees no edges."""

    def __init__(self, in_dim, out_dim):
        super().__init__()
        self.out = nn.Linear(in_dim, out_dim)

    def forward(self, x, batch=None):
        return global_add_pool(torch.tanh(self.out(x)), batch)


class OneHot(nn.Module):
    def __init__(self):
        super().__init__()
        self.sweep = gs.nn.Recurrent(gs.nn.GRUCell(4, H))

    def forward(self, symbols, topology):
        return self.sweep(F.one_hot(symbols, 4).to(self.sweep.cell.weight_ih.dtype), topology)


class Whole(Base):
    """One vector for all that comes."""

    def forward(self, x, edge_index):
        return super().forward(x, edge_index).sum(0)


class CountsByMax(PooledBase):
    def pool(self, h, batch):
        return scatter(h, batch, dim_size=int(batch.max()) + 1)
