# src/run and src/train: what needs no ranks
dt_unit_test(writer SOURCES test_writer.c LINK dt_run dt_core pthread)
