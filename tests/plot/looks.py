"""What a reader would see at once: texts on top of each other, texts cut off by the edge."""

import itertools


def _ticks(axis):
    low, high = sorted(axis.get_view_interval())
    shown = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [label for label in shown if label.get_visible()]


def boxes(figure):
    """The rectangle of each text that is drawn, with its frame if it has one."""
    figure.canvas.draw()
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    if figure._suptitle is not None:
        texts.append(figure._suptitle)
    for axes in figure.axes:
        texts += axes.texts
        if axes.axison:
            texts += [axes.xaxis.label, axes.yaxis.label, *_ticks(axes.xaxis), *_ticks(axes.yaxis)]
    shown = {id(text): text for text in texts if text.get_text().strip()}.values()
    return [(text.get_text(), (text.get_bbox_patch() or text).get_window_extent()) for text in shown]


def overlaps(figure):
    """Pairs of texts that cover each other by more than a hair."""
    found = []
    for (a, box), (b, other) in itertools.combinations(boxes(figure), 2):
        across = min(box.x1, other.x1) - max(box.x0, other.x0)
        down = min(box.y1, other.y1) - max(box.y0, other.y0)
        if across > 0.5 and down > 0.5:
            found.append((a, b))
    return found


def outside(figure):
    """Texts that the figure's edge cuts."""
    width, height = figure.canvas.get_width_height()
    return [t for t, b in boxes(figure) if b.x0 < -0.5 or b.y0 < -0.5 or b.x1 > width + 0.5 or b.y1 > height + 0.5]
