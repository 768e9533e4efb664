# Plots: thinning, axes and text; the pictures are tested with the whole program.
dt_io_program(test_plot SOURCES test_plot.c LINK cmocka)
target_include_directories(test_plot PRIVATE "${CMAKE_SOURCE_DIR}/io/picture")
add_test(NAME io.plot COMMAND test_plot)
set_tests_properties(io.plot PROPERTIES LABELS io TIMEOUT 120)

# Event files for TensorBoard, and the log of a run.
dt_io_program(test_events SOURCES test_events.c LINK cmocka)
target_include_directories(test_events PRIVATE "${CMAKE_SOURCE_DIR}/io/picture")
add_test(NAME io.events COMMAND test_events)
set_tests_properties(io.events PROPERTIES LABELS io TIMEOUT 60)
