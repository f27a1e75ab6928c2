"""ROS 2: the node, its message conversion and pairing, and what runs it without a ROS install."""
