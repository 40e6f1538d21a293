"""Keys and values of a prompt's beginning, to go on from several times: computed once, shared, never changed."""

from __future__ import annotations

import copy

from transformers import Cache, DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer


def continued(cache: Cache, rows: int = 1) -> Cache:
    """A cache of `rows` rows that starts with another's keys and values [1 H T D] and leaves that one as it is.

    Layers that grow put a new tensor in place of the old one, so a copy may share it, with its gradients; others are
    copied whole. ValueError for several rows of a cache that does not keep everything.
    """
    kinds = {type(layer) for layer in cache.layers}
    if rows > 1 and kinds - {DynamicLayer}:
        raise ValueError(f"only caches that keep everything can serve {rows} rows, this one is of {_names(kinds)}")
    if kinds - {DynamicLayer, DynamicSlidingWindowLayer}:
        return copy.deepcopy(cache)
    own = copy.copy(cache)
    own.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in own.layers if rows > 1 else ():
        assert isinstance(layer, DynamicLayer)
        assert layer.keys is not None
        assert layer.values is not None
        layer.keys, layer.values = (x.expand(rows, -1, -1, -1) for x in (layer.keys, layer.values))
    return own


def keeps_everything(config: PretrainedConfig) -> bool:
    """Whether a model of this configuration keeps all keys and values of all layers, as `continued` needs for rows."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)


def _names(kinds: set[type]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))
