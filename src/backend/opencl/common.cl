/* Shared by all kernels. GROUP, the number of work-items of a work-group, is set when they are built: a power of two that the device supports. A tensor is a buffer and the element where it starts; every buffer has fewer than 2^31 elements, so 32 bits can count them. */

#define KERNEL __kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
#define OUT(name) __global float *name, const uint name##_at
#define IN(name) __global const float *name, const uint name##_at
#define INTS(name) __global const int *name, const uint name##_at

/* Sum over the work-group, pairwise: the same order every time. lane: GROUP floats. */
float group_sum(const float x, __local float *lane) {
    const uint l = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE); /* the previous result has been read */
    lane[l] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint width = GROUP / 2; width > 0; width /= 2) {
        if (l < width) lane[l] += lane[l + width];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return lane[0];
}

/* Largest value of the work-group; NaN is ignored. */
float group_max(const float x, __local float *lane) {
    const uint l = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    lane[l] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint width = GROUP / 2; width > 0; width /= 2) {
        if (l < width) lane[l] = fmax(lane[l], lane[l + width]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return lane[0];
}

/* to[c] += the partial sums of column c, in the order of their chunks of rows. */
KERNEL void add_partials(OUT(to), IN(partial), const uint chunks, const uint stride, const uint columns) {
    const uint c = get_global_id(0);
    if (c >= columns) return;
    float sum = 0;
    for (uint i = 0; i < chunks; i++) sum += partial[partial_at + i * stride + c];
    to[to_at + c] += sum;
}
