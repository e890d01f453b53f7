"""Who is scored beside a run with experts and a network, in the order in which they are."""

OF_A_RUN = ("model", "mean", "hold", "velocity", "linear", "ridge", "ar", "arx", "network")
FLOORS = ("floor_reading", "floor_estimate")  # of a log that names a scene
