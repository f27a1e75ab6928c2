"""Recordings, folders and pairs in; label images, scores and tables out. Needs no ROS."""
