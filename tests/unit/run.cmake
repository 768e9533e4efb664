# src/run and src/train: the parts that need no ranks
dt_unit_test(writer SOURCES test_writer.c LINK dt_run dt_core pthread)
dt_unit_test(deadline SOURCES test_deadline.c LINK dt_run dt_core)
dt_unit_test(stall SOURCES test_stall.c LINK dt_run)
target_include_directories(test_stall PRIVATE "${CMAKE_SOURCE_DIR}/src/run")
dt_unit_test(start SOURCES test_start.c LINK dt_train dt_run dt_io dt_optim dt_model dt_backend dt_sources dt_data dt_mpi dt_core)
target_include_directories(test_start PRIVATE "${CMAKE_SOURCE_DIR}/src/train")
dt_unit_test(kernels SOURCES test_kernels.c LINK dt_run)
