"""The verb ``bench``: where the milliseconds of a frame go on this machine, what memory it takes, and how that compares.

Everything is timed from a frame in numpy arrays to a label image in a numpy array, copies to and from a device included.
"""
