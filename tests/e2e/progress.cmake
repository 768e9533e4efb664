# The progress that a run shows.
dt_e2e(progress 180)
