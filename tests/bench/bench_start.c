/* An MPI program that does nothing: its time is the part of a start that is not dtrain's.
 *
 * Prints a line when all ranks are there. */
#include <mpi.h>
#include <stdio.h>

int main(int argc, char **argv) {
    int rank;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) {
        puts("started");
        fflush(stdout);
    }
    return MPI_Finalize() == MPI_SUCCESS ? 0 : 1;
}
