"""A small private subset of rclpy on Cyclone DDS: what the node uses, for machines without a ROS install.

It speaks the wire format of ``rmw_cyclonedds_cpp``, so that it joins a real ROS 2 graph. Use it through
``uois_sam_ros.ros.api`` only, which prefers the real rclpy.

Limits: x86-64 (the library has no wheel for Jetson); no actions, no security, no messages or services beyond
those of the common packages; timers run on steady time also with ``use_sim_time``; one context a process. A peer
on another middleware than ``rmw_cyclonedds_cpp`` gets topics but not services, parameters and lifecycle.
"""
