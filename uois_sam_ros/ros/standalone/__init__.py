"""A small private subset of rclpy on Cyclone DDS: what the node uses, for machines without a ROS install.

It speaks the wire format of ``rmw_cyclonedds_cpp``, so that it joins a real ROS 2 graph. Use it through
``uois_sam_ros.ros.api`` only, which prefers the real rclpy.
"""
