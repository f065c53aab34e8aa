// Rows read from the places that indices name, and written there (see index.py).
//
//   gather   y[o, j, i] = x[o, indices[j], i]
//   scatter  y[o, r, i] = x[o, r, i] joined with updates[o, j, i] for each j whose index is r
//   spread   y[o, k, i] = x[o, j, i] if k is start + j * step, else 0
//
// Memory: x is (outer, size, inner) along the axis that is indexed; in `scatter` no x is one of
// zeros. Each o may have indices of its `own`. Negative ones count from the end, and those that
// name no row are left out: reading gives 0. JOIN(old, update) is a sum for adjoints.
//
// Nothing is written atomically. A block of `scatter` has some rows of the result, and looks for
// their numbers among the indices: it reads 256 of them at a time, a ballot of each warp says which
// are its own, and these it goes through in order. So sums round alike each time, and the last of
// several updates wins. It reads each update once, and all indices once for each block, which is
// little as long as there are thousands of them and no millions. The others are a thread for each
// element, or LANES of them, and cost their bytes.

#include "lanes.cuh"

#ifndef TYPE
#define TYPE float
#endif
#ifndef INDEX
#define INDEX long long
#endif
#ifndef JOIN
#define JOIN(old, update) ((old) + (update))
#endif

#define THREADS 256

// the row that an index names, -1 if there is none
__device__ __forceinline__ int row_of(INDEX index, int size) {
  const INDEX row = index < 0 ? index + size : index;
  return row >= 0 && row < size ? int(row) : -1;
}

extern "C" __global__ void gather(TYPE* __restrict__ y, const TYPE* __restrict__ x,
                                  const INDEX* __restrict__ indices, int outer, int count, int size,
                                  int inner, int own) {
  // y is (outer, count, inner); indices (count), or (outer, count) if each o has its own
  const int chunks = inner / LANES;
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = item % chunks * LANES;
  const int j = item / chunks % count;
  const int o = item / chunks / count;
  if (o < outer) {
    const int row = row_of(indices[own ? o * count + j : j], size);
    Lanes<TYPE> value = {};
    if (row >= 0) {
      value = load(x + (o * size + row) * inner + i);
    }
    store(y + (o * count + j) * inner + i, value);
  }
}

extern "C" __global__ void scatter(TYPE* __restrict__ y, const TYPE* __restrict__ x,
                                   const TYPE* __restrict__ updates,
                                   const INDEX* __restrict__ indices, int tiles, int count,
                                   int size, int inner, int own) {
  // updates are (outer, count, inner). A block has blockDim.y rows, of `tiles` times as many, and
  // blockDim.x elements of each; blockIdx.x counts those first, then the tiles, then the outer.
  __shared__ int rows[THREADS];
  __shared__ unsigned ours[THREADS / 32];
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  const int across = (inner + blockDim.x - 1) / blockDim.x;
  const int o = blockIdx.x / across / tiles;
  const int first = blockIdx.x / across % tiles * blockDim.y;
  const int row = first + threadIdx.y;
  const int i = blockIdx.x % across * blockDim.x + threadIdx.x;
  const bool works = row < size && i < inner;
  const int at = (o * size + row) * inner + i;
  TYPE value = 0;
  if (works && x != nullptr) {
    value = x[at];
  }
  for (int start = 0; start < count; start += THREADS) {
    const int j = start + thread;
    rows[thread] = j < count ? row_of(indices[own ? o * count + j : j], size) : -1;
    const bool among = rows[thread] >= first && rows[thread] < first + int(blockDim.y);
    const unsigned votes = __ballot_sync(0xffffffff, among);
    if (thread % 32 == 0) {
      ours[thread / 32] = votes;
    }
    __syncthreads();
    for (int warp = 0; warp < THREADS / 32; warp++) {
      int slot = warp * 32;
      for (unsigned rest = ours[warp]; rest != 0; rest >>= 1, slot++) {
        if (rest % 2 == 1 && rows[slot] == row && works) {
          value = JOIN(value, updates[(o * count + start + slot) * inner + i]);
        }
      }
    }
    __syncthreads();
  }
  if (works) {
    y[at] = value;
  }
}

extern "C" __global__ void spread(TYPE* __restrict__ y, const TYPE* __restrict__ x, int outer,
                                  int count, int size, int inner, int start, int step) {
  // y is (outer, size, inner), x (outer, count, inner)
  const int chunks = inner / LANES;
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = item % chunks * LANES;
  const int k = item / chunks % size;
  const int o = item / chunks / size;
  if (o >= outer) {
    return;
  }
  Lanes<TYPE> value = {};
  const int j = (k - start) / step;
  if (j >= 0 && j < count && start + j * step == k) {
    value = load(x + (o * count + j) * inner + i);
  }
  store(y + (o * size + k) * inner + i, value);
}
