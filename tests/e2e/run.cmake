# Tests of the whole program, e2e.<name>: each is a script that is called with the program and the MPI launcher.

# dt_e2e(NAME SECONDS argument…)
function(dt_e2e name timeout)
  add_test(NAME e2e.${name} COMMAND bash "${CMAKE_CURRENT_SOURCE_DIR}/${name}.sh"
    $<TARGET_FILE:dtrain> "${MPIEXEC_EXECUTABLE}" ${ARGN})
  set_tests_properties(e2e.${name} PROPERTIES LABELS e2e TIMEOUT ${timeout} PROCESSORS 2 SKIP_RETURN_CODE 77)
endfunction()

# dtrain with MPI_Allreduce instead of mpi/reducer.c.
add_executable(dtrain_allreduce allreduce_reducer.c $<TARGET_OBJECTS:dtrain>)
get_target_property(linked dtrain LINK_LIBRARIES)
target_link_libraries(dtrain_allreduce PRIVATE ${linked} MPI::MPI_C)

# dtrain with the kernels of a chosen instruction set, and the runs of an earlier program.
add_executable(dtrain_kernels chosen_kernels.c $<TARGET_OBJECTS:dtrain>)
target_include_directories(dtrain_kernels PRIVATE "${CMAKE_SOURCE_DIR}/src/backend")
target_link_libraries(dtrain_kernels PRIVATE ${linked})
target_link_options(dtrain_kernels PRIVATE -Wl,--wrap=dt_backend_open)
dt_e2e(before 240 $<TARGET_FILE:dtrain_kernels> "${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION} ${CMAKE_BUILD_TYPE}")

dt_e2e(invariance 240)
dt_e2e(resume 240)
dt_e2e(average 120)
dt_e2e(precision 240)
dt_e2e(allreduce 120 $<TARGET_FILE:dtrain_allreduce>)
dt_e2e(logits 90)
dt_e2e(learns 240)
dt_e2e(exhaustive 300)
dt_e2e(lengths 240)
dt_e2e(formats 240)
dt_e2e(own_text 240)
dt_e2e(bpe 240)
dt_e2e(sample 240)
dt_e2e(eval_text 240)
dt_e2e(answers 300)
dt_e2e(text_files 240)
dt_e2e(commands 180)
dt_e2e(energy 240)
dt_e2e(plan 400)
dt_e2e(words 120)
dt_e2e(exchange 180)
dt_e2e(eval_stops 300)
dt_e2e(leaks 300)
dt_e2e(skipped 120 "${CMAKE_CTEST_COMMAND}")
dt_e2e(bad_input 240)

dt_e2e(default.long 1500)
set_tests_properties(e2e.default.long PROPERTIES LABELS "e2e;long")
