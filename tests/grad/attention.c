/* Compares attention with the double-precision reference. */
#include "attention.h"

#include <stdio.h>

void attention_check(dt_backend *backend, const fixture_lengths *lengths, size_t C, size_t H,
                     double scale, int32_t window) {
    const dt_heads heads = heads_of(C, H, window);
    fixture_random random = {C * 100 + H};
    dt_batch batch;
    device_batch device;
    fixture_batch_create(&batch, lengths, 2, 12, &random);
    device_batch_create(&device, backend, &batch);
    const size_t N = batch.tokens;
    char what[100];
    snprintf(what, sizeof what,
             "attention of %zu tokens in %zu problems, C %zu, H %zu, within %g, window %d", N,
             batch.problems, C, H, scale, (int)window);

    device_tensor qkv = device_random("qkv", backend, N * 3 * C, 0, scale, &random);
    device_tensor y = device_blank("y", backend, N * C), lse = device_blank("lse", backend, N * H);
    expect_ok(
        backend->op->attention_forward(backend, y.at, lse.at, qkv.at, &device.packed, C, &heads));
    reference_attention_forward(y.host, lse.host, qkv.host, &batch, C, H, window);
    expect_device(what, &y, &lse, &qkv, NULL);

    device_tensor d_y = device_random("d_y", backend, N * C, 0, 1, &random);
    device_tensor d_qkv = device_blank("d_qkv", backend, N * 3 * C);
    expect_ok(backend->op->attention_backward(backend, d_qkv.at, d_y.at, y.at, lse.at, qkv.at,
                                              &device.packed, C, &heads));
    reference_attention_backward(d_qkv.host, d_y.host, qkv.host, &batch, C, H, window);
    expect_device(what, &d_qkv, &d_y, &y, &lse, &qkv, NULL);

    device_destroy(&qkv, &y, &lse, &d_y, &d_qkv, NULL);
    device_batch_destroy(&device);
    fixture_batch_destroy(&batch);
}
