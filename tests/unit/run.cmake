# src/run and src/train: what needs no ranks
dt_unit_test(writer SOURCES test_writer.c LINK dt_run dt_core pthread)
dt_unit_test(deadline SOURCES test_deadline.c LINK dt_run dt_core)
dt_unit_test(stall SOURCES test_stall.c LINK dt_run)
target_include_directories(test_stall PRIVATE "${CMAKE_SOURCE_DIR}/src/run")
