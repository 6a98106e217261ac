"""Blocks: functions ``(c_in, stage, stride, style) -> Layer``, all with the same arguments.

A new block is one function and one line in :data:`scaler.networks.blocks.registry.BLOCKS`. ``stride`` is the
stage's for its first block and 1 for the others; ``style.drop_path`` is the rate for this very block.
"""
