// What the matrix products share: y[i, j] = the sum over p of a[i, p] * b[p, j], for each matrix of
// a batch. a is (m, k), b is (k, n), y is (m, n), all of any strides, so that transposed, cut and
// repeated matrices are read where they are. y is dense in some order of its axes; `channels` is
// the size of the innermost, or of that which an epilogue takes for it.
//
// A sum may be split: blockIdx.y takes `segment` of its k terms and leaves its part at
// y[blockIdx.y * size]; sum_parts adds the parts in order. So the order of a sum depends on the
// sizes alone.

#include "hook.cuh"
#include "reduction.cuh"

#define BATCH_AXES 4

#define MATRICES \
  int m, int n, int k, int y_row, int y_column, int a_row, int a_column, int b_row, int b_column, \
  int batch, AXES(y_batch), AXES(a_batch), AXES(b_batch), int channels

#define PARTS int segment, int size
