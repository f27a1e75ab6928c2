"""Where a segmenter fails: calibration of its scores, accuracy against size and occlusion, a gallery, comparisons."""
