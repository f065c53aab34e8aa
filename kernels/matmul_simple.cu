// y = a @ b, a thread for each element: the first version, which the others are held against, and
// the right one where k is small, as then the bytes of a, b and y are the cost. Else it is bound by
// the caches: two reads for each multiplication. See matmul.cuh for the names.

#include "matmul.cuh"

extern "C" __global__ void matmul_simple(
    float* __restrict__ y, const float* __restrict__ a, const float* __restrict__ b,
    MATRICES EPILOGUE_PARAMETERS) {
  const int number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= batch * m * n) {
    return;
  }
  const int j = number % n;
  const int i = number / n % m;
  const int matrix = number / n / m;
  const float* row = a + place<BATCH_AXES>(matrix, AS_AXES(a_batch)) + i * a_row;
  const float* column = b + place<BATCH_AXES>(matrix, AS_AXES(b_batch)) + j * b_column;
  float sum = 0.0f;
  for (int p = 0; p < k; p++) {
    sum += row[p * a_column] * column[p * b_row];
  }
  const int at = place<BATCH_AXES>(matrix, AS_AXES(y_batch)) + i * y_row + j * y_column;
  y[at] = EPILOGUE(sum, at, at % channels);
}

// y[i] = the sum of parts[s, i] over the segments s of a sum, in their order
extern "C" __global__ void sum_parts(
    float* __restrict__ y, const float* __restrict__ parts, int segments, int size,
    int channels EPILOGUE_PARAMETERS) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at < size) {
    float sum = 0.0f;
    for (int s = 0; s < segments; s++) {
      sum += parts[s * size + at];
    }
    y[at] = EPILOGUE(sum, at, at % channels);
  }
}
