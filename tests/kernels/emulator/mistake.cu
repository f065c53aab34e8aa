// One mistake each, in the line that ends with //!

extern "C" __global__ void divergent_barrier(float* y) {
  if (threadIdx.x < 16) {
    __syncthreads();
    y[threadIdx.x] = 1.0f;
  } else {
    y[threadIdx.x] = 2.0f;
    __syncthreads();  //!
  }
}

extern "C" __global__ void shuffle_after_exit(float* y) {
  if (threadIdx.x >= 20) return;
  y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, y[threadIdx.x], 1);  //!
}

extern "C" __global__ void different_operations(float* y) {
  if (threadIdx.x < 16) {
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, y[threadIdx.x], 1);
  } else {
    y[threadIdx.x] = __ballot_sync(0xffffffffu, 1);  //!
  }
}

extern "C" __global__ void misaligned(float* y, const float* x) {
  float4 four = *reinterpret_cast<const float4*>(x + 1);  //!
  y[threadIdx.x] = four.x;
}

extern "C" __global__ void local_array(float* y, int n) {
  float values[4] = {1.0f, 2.0f, 3.0f, 4.0f};
  y[threadIdx.x] = values[n];  //!
}

extern "C" __global__ void shared_array(float* y, int n) {
  __shared__ float values[4][8];
  values[threadIdx.x / 8][threadIdx.x % 8 + n] = 1.0f;  //!
  y[threadIdx.x] = n;
}

extern "C" __global__ void missing_barrier(float* y) {
  __shared__ float values[32];
  values[threadIdx.x] = y[threadIdx.x];
  y[threadIdx.x] = values[31 - threadIdx.x];  //!
}

extern "C" __global__ void between_blocks(float* y) {
  if (threadIdx.x > 0) return;
  y[blockIdx.x] = 1.0f;
  y[0] += y[blockIdx.x];  //!
}

extern "C" __global__ void overflow(int* y, int n) {
  y[threadIdx.x] = n * 65536;  //!
}

extern "C" __global__ void division(int* y, int n) {
  y[threadIdx.x] = 7 / n;  //!
}

__device__ __forceinline__ float element(const float* x, int i) {
  return x[i];
}

extern "C" __global__ void through_a_function(float* y, const float* x) {
  y[threadIdx.x] = element(x, threadIdx.x + 1);  //!
}

extern "C" __global__ void copy_to_global(float* y, const float* x) {
  emulator::cp_async(y + threadIdx.x, x + threadIdx.x, 4, 4);  //!
  emulator::cp_async_commit();
  emulator::cp_async_wait(0);
}

extern "C" __global__ void matrix_from_global(float* y, const float* x) {
  unsigned fragment[1];
  emulator::ldmatrix_x1(fragment, x + threadIdx.x % 8 * 4);  //!
  y[threadIdx.x] = fragment[0];
}
