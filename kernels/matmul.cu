// y = a @ b by tiles, in float32. See matmul.cuh for the names and how the matrices lie in memory.
//
// Versions, slowest first:
//   matmul_simple  a thread makes one element: two reads for a multiplication (matmul_simple.cu)
//   matmul_tiled   this file: a block makes TILE x TILE elements of y, from slices of a and b in
//                  shared memory that are DEPTH terms of the sum long, a thread MICRO x MICRO of
//                  them in registers: 2 / TILE reads from L2 for a multiplication
// Beside them stands matmul_narrow.cu: an a of few rows, or a b of few columns, would leave most of
// a tile empty.
//
// A step of the sum costs a thread MICRO / 2 reads of four floats from shared memory for MICRO^2
// multiplications: with MICRO 8 it is bound by arithmetic, with 4 by those reads. The next slices
// are on their way while these are multiplied. No tensor cores: float32 as it is.

#include "matmul.cuh"

#define SIDE (TILE / MICRO)  // threads along a side of the tile
#define THREADS (SIDE * SIDE)
#define FETCHED (TILE * DEPTH / THREADS)  // elements of a slice that a thread brings

// A slice of a matrix, TILE of its rows by DEPTH of its columns, on its way to shared memory. The
// threads go along the rows or along the columns, whichever has neighbours closer in memory.
struct Slice {
  const float* from;
  int row_step;
  int column_step;
  int rows;
  float fetched[FETCHED];

  __device__ __forceinline__ int row(int e) const {
    const int number = threadIdx.x + e * THREADS;
    return column_step <= row_step ? number / DEPTH : number % TILE;
  }

  __device__ __forceinline__ int column(int e) const {
    const int number = threadIdx.x + e * THREADS;
    return column_step <= row_step ? number % DEPTH : number / TILE;
  }

  // the columns from `first` on, as far as `end`; 0 beyond the matrix
  __device__ __forceinline__ void fetch(int first, int end) {
#pragma unroll
    for (int e = 0; e < FETCHED; e++) {
      const bool inside = row(e) < rows && first + column(e) < end;
      fetched[e] = inside ? from[row(e) * row_step + (first + column(e)) * column_step] : 0.0f;
    }
  }

  __device__ __forceinline__ void store(float (*to)[TILE + 4]) const {
#pragma unroll
    for (int e = 0; e < FETCHED; e++) {
      to[column(e)][row(e)] = fetched[e];
    }
  }
};

// A thread's rows and columns in the tile: runs of four, which are read at once, SIDE * 4 apart.
__device__ __forceinline__ int in_tile(int thread, int e) {
  return e / 4 * SIDE * 4 + thread * 4 + e % 4;
}

// the registers of two blocks on a processor, or of one of the large tiles: without spills
extern "C" __global__ void __launch_bounds__(THREADS, 128 / TILE) matmul_tiled(
    float* __restrict__ y, const float* __restrict__ a, const float* __restrict__ b, MATRICES,
    PARTS EPILOGUE_PARAMETERS) {
  // slices of a and b with p outermost, so that a step of the sum reads along them
  __shared__ __align__(16) float rows[DEPTH][TILE + 4];
  __shared__ __align__(16) float columns[DEPTH][TILE + 4];
  const int across = (n + TILE - 1) / TILE;
  const int first_row = blockIdx.x / across * TILE;
  const int first_column = blockIdx.x % across * TILE;
  const int down = threadIdx.x / SIDE;
  const int along = threadIdx.x % SIDE;
  const int first = blockIdx.y * segment;
  const int end = first + min(segment, k - first);
  for (int matrix = blockIdx.z; matrix < batch; matrix += gridDim.z) {
    Slice left = {a + place<BATCH_AXES>(matrix, AS_AXES(a_batch)) + first_row * a_row,
                  a_row, a_column, m - first_row};
    Slice right = {b + place<BATCH_AXES>(matrix, AS_AXES(b_batch)) + first_column * b_column,
                   b_column, b_row, n - first_column};
    float sum[MICRO][MICRO] = {};
    left.fetch(first, end);
    right.fetch(first, end);
    for (int p = first; p < end; p += DEPTH) {
      left.store(rows);
      right.store(columns);
      __syncthreads();
      if (p + DEPTH < end) {  // the next slice comes while this one is multiplied
        left.fetch(p + DEPTH, end);
        right.fetch(p + DEPTH, end);
      }
#pragma unroll
      for (int d = 0; d < DEPTH; d++) {
        float4 of_a[MICRO / 4];
        float4 of_b[MICRO / 4];
#pragma unroll
        for (int e = 0; e < MICRO / 4; e++) {
          of_a[e] = *(const float4*)&rows[d][in_tile(down, 4 * e)];
          of_b[e] = *(const float4*)&columns[d][in_tile(along, 4 * e)];
        }
#pragma unroll
        for (int r = 0; r < MICRO; r++) {
#pragma unroll
          for (int c = 0; c < MICRO; c++) {
            sum[r][c] += ((const float*)of_a)[r] * ((const float*)of_b)[c];
          }
        }
      }
      __syncthreads();
    }
    const int corner = place<BATCH_AXES>(matrix, AS_AXES(y_batch));
#pragma unroll
    for (int r = 0; r < MICRO; r++) {
#pragma unroll
      for (int c = 0; c < MICRO; c++) {
        const int i = first_row + in_tile(down, r);
        const int j = first_column + in_tile(along, c);
        if (i < m && j < n) {
          const int at = corner + i * y_row + j * y_column;
          y[blockIdx.y * size + at] = EPILOGUE(sum[r][c], at, at % channels);
        }
      }
    }
  }
}
