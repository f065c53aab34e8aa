// y = a @ b where a has few rows, at most ROWS: a fully connected layer on a picture or a few. Each
// element of b is read once, by threads that go along its memory, and meets all rows of a: bound by
// memory. A b of few columns is an a of few rows in the transposed product. See matmul.cuh for the
// names, matmul.cu for the other versions.
//
//   matmul_sweep  neighbours in memory are in different columns of b: threads side by side go down
//                 the columns, `lanes` of them share one, and meet in a tree.
//   matmul_dot    neighbours in memory are in one column of b: a warp for each column.
//
// Rows that a does not have repeat its last, and are not written.

#include "matmul.cuh"

#define THREADS 256
#define WARP 32
#define UNROLLED (ROWS < 4 ? 4 : 8 / ROWS)  // steps whose reads are on their way at a time

extern "C" __global__ void __launch_bounds__(THREADS, 2) matmul_sweep(
    float* __restrict__ y, const float* __restrict__ a, const float* __restrict__ b, MATRICES,
    PARTS, int lanes EPILOGUE_PARAMETERS) {
  __shared__ float values[THREADS];
  const Thread thread = this_thread(lanes, THREADS / lanes);
  const int j = thread.column;
  const int first = blockIdx.y * segment;
  const int end = first + min(segment, k - first);
  for (int matrix = blockIdx.z; matrix < batch; matrix += gridDim.z) {
    const float* row = a + place<BATCH_AXES>(matrix, AS_AXES(a_batch));
    const float* column = b + place<BATCH_AXES>(matrix, AS_AXES(b_batch)) + j * b_column;
    float sum[ROWS] = {};
    if (j < n) {
#pragma unroll UNROLLED
      for (int p = first + thread.lane; p < end; p += lanes) {
        const float factor = column[p * b_row];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
          sum[r] += row[min(r, m - 1) * a_row + p * a_column] * factor;
        }
      }
    }
    const int corner = place<BATCH_AXES>(matrix, AS_AXES(y_batch));
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      const float total = joined(sum[r], values, thread, Sum());
      if (thread.lane == 0 && r < m && j < n) {
        const int at = corner + r * y_row + j * y_column;
        y[blockIdx.y * size + at] = EPILOGUE(total, at, at % channels);
      }
    }
  }
}

__device__ __forceinline__ float dot(float4 a, float4 b) {
  return a.x * b.x + a.y * b.y + (a.z * b.z + a.w * b.w);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) matmul_dot(
    float* __restrict__ y, const float* __restrict__ a, const float* __restrict__ b, MATRICES,
    PARTS EPILOGUE_PARAMETERS) {
  const int lane = threadIdx.x % WARP;
  const int j = blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP;
  const int first = blockIdx.y * segment;
  const int end = first + min(segment, k - first);
  for (int matrix = blockIdx.z; matrix < batch; matrix += gridDim.z) {
    const float* row = a + place<BATCH_AXES>(matrix, AS_AXES(a_batch));
    const float* column = b + place<BATCH_AXES>(matrix, AS_AXES(b_batch)) + min(j, n - 1) * b_column;
    const bool dense = a_column == 1 && b_row == 1;
    const bool aligned = ((size_t)(row + first) | (size_t)(column + first)) % sizeof(float4) == 0;
    const int fours = dense && aligned && a_row % 4 == 0 ? (end - first) / 4 : 0;
    float sum[ROWS] = {};
#pragma unroll UNROLLED
    for (int p = lane; p < fours; p += WARP) {
      const float4 factor = ((const float4*)(column + first))[p];
#pragma unroll
      for (int r = 0; r < ROWS; r++) {
        sum[r] += dot(((const float4*)(row + min(r, m - 1) * a_row + first))[p], factor);
      }
    }
    for (int p = first + 4 * fours + lane; p < end; p += WARP) {
      const float factor = column[p * b_row];
#pragma unroll
      for (int r = 0; r < ROWS; r++) {
        sum[r] += row[min(r, m - 1) * a_row + p * a_column] * factor;
      }
    }
    const int corner = place<BATCH_AXES>(matrix, AS_AXES(y_batch));
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      float total = sum[r];
#pragma unroll
      for (int half = WARP / 2; half > 0; half /= 2) {
        total += __shfl_xor_sync(0xffffffff, total, half);
      }
      if (lane == 0 && r < m && j < n) {
        const int at = corner + r * y_row + j * y_column;
        y[blockIdx.y * size + at] = EPILOGUE(total, at, at % channels);
      }
    }
  }
}
