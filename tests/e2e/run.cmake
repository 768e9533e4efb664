# The program as people run it: e2e.<what>, each a script called with the program and the MPI launcher.

# dt_e2e(NAME SECONDS argument…)
function(dt_e2e name timeout)
  add_test(NAME e2e.${name} COMMAND bash "${CMAKE_CURRENT_SOURCE_DIR}/${name}.sh"
    $<TARGET_FILE:dtrain> "${MPIEXEC_EXECUTABLE}" ${ARGN})
  set_tests_properties(e2e.${name} PROPERTIES LABELS e2e TIMEOUT ${timeout} PROCESSORS 2 SKIP_RETURN_CODE 77)
endfunction()

# dtrain with MPI_Allreduce in the place of mpi/reducer.c.
add_executable(dtrain_allreduce allreduce_reducer.c $<TARGET_OBJECTS:dtrain>)
get_target_property(linked dtrain LINK_LIBRARIES)
target_link_libraries(dtrain_allreduce PRIVATE ${linked} MPI::MPI_C)

dt_e2e(invariance 180)
dt_e2e(resume 240)
dt_e2e(average 120)
dt_e2e(allreduce 120 $<TARGET_FILE:dtrain_allreduce>)
dt_e2e(logits 90)
dt_e2e(learns 240)
dt_e2e(exhaustive 300)
dt_e2e(lengths 240)
dt_e2e(formats 240)
dt_e2e(own_text 240)
dt_e2e(commands 180)
dt_e2e(leaks 300)
dt_e2e(skipped 120 "${CMAKE_CTEST_COMMAND}")
dt_e2e(bad_input 240)

dt_e2e(default.long 1500)
set_tests_properties(e2e.default.long PROPERTIES LABELS "e2e;long")
