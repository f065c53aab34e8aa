// y[o, j, i] = the sum of x[o, k, i] over the k before j, and j itself unless `exclusive`; with
// `reverse` over those behind it.
//
// Memory: x and y are (outer, size, inner). A thread walks along one line, which is as slow as the
// lines are long and few: this is rare, and never of pictures.

#ifndef TYPE
#define TYPE float
#endif

extern "C" __global__ void cumulative_sum(TYPE* __restrict__ y, const TYPE* __restrict__ x,
                                          int outer, int size, int inner, int exclusive,
                                          int reverse) {
  const unsigned line = blockIdx.x * blockDim.x + threadIdx.x;
  const int start = line / inner * size * inner + line % inner;
  if (line / inner >= outer) {
    return;
  }
  TYPE sum = 0;
  for (int k = 0; k < size; k++) {
    const int at = start + (reverse ? size - 1 - k : k) * inner;
    const TYPE next = sum + x[at];
    y[at] = exclusive ? sum : next;
    sum = next;
  }
}
