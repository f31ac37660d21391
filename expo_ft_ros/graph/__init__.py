"""The graph as data: topics, services and node specs, free of ROS."""
