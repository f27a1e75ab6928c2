"""Replay a recording through the segmenter or the node, and report what was seen."""
