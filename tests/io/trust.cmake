# Trust in checkpoints: the lock of a run, and damage to every part of a file in turn.
dt_io_program(test_run_lock SOURCES test_run_lock.c LINK cmocka)
target_link_options(test_run_lock PRIVATE -Wl,--wrap=flock,--wrap=fstatfs,--wrap=gethostname,--wrap=clock_gettime,--wrap=fstat)
add_test(NAME io.run_lock COMMAND test_run_lock)
set_tests_properties(io.run_lock PROPERTIES LABELS io TIMEOUT 300)

dt_io_script(flips)
set_tests_properties(io.flips PROPERTIES LABELS io TIMEOUT 300)
