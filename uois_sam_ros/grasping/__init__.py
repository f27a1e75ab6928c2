"""Hand masks to grasp planners: exporters to their input formats, and a node that feeds one.

Import the modules by name; ``docs/grasping.md`` walks from the camera to a grasp.
"""
