# The plot command.
dt_e2e(plot 180)
