// The k largest elements of each line, in order, and their places in it; else the smallest.
//
// Memory: x is (outer, size, inner), y and where are (outer, k, inner). A thread has one element of
// x: it counts those of its line that come before it, the first of equals first, NaN as larger than
// all, and so knows its own rank. Nothing is sorted. The cost is size * size comparisons for each
// line, from the caches: little for thousands.

__device__ __forceinline__ bool is_larger(float a, float b) {
  return a > b || (a != a && b == b);
}

extern "C" __global__ void top_k(float* __restrict__ y, long long* __restrict__ where,
                                 const float* __restrict__ x, int outer, int size, int inner, int k,
                                 int largest) {
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = item % inner;
  const int j = item / inner % size;
  const int o = item / inner / size;
  if (o >= outer) {
    return;
  }
  const float* line = x + o * size * inner + i;
  const float own = line[j * inner];
  int rank = 0;
  for (int other = 0; other < size; other++) {
    const float value = line[other * inner];
    const bool before = largest ? is_larger(value, own) : is_larger(own, value);
    const bool behind = largest ? is_larger(own, value) : is_larger(value, own);
    rank += before || (!behind && other < j);
  }
  if (rank < k) {
    y[(o * k + rank) * inner + i] = own;
    where[(o * k + rank) * inner + i] = j;
  }
}
