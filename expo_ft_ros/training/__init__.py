"""Training in one process, without ROS: the graph's own control loop, reward and learner code."""
