"""The verb ``bench``: where the milliseconds of a frame go on this machine, what memory it takes, how that compares.

Everything is timed from a frame in numpy arrays to a label image in a numpy array, copies to a device included.
"""
