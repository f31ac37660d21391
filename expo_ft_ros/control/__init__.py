"""Control: what is executed at each tick, and why. Pure Python and NumPy, the time passed in.

executor     which slot of which chunk is due
arbitration  where a person's correction is spliced in
safety       what stops the arm, and after how long (config/safety.yaml)
teleop       takeover and the latched gripper (config/teleop.yaml)
episode      the life of an episode, and what people ask for
session      the stages of a run
loop         one tick, made of the above
"""
