# src/core
dt_unit_test(random SOURCES test_random.c LINK dt_core)
