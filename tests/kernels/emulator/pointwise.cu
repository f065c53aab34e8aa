// Kernels whose threads do not wait for each other.

#define GRADIENT 1
#define GUIDED 2
#define DECONVNET 3

__device__ __forceinline__ float passed(float y, float dy, int rule) {
  bool open = rule == DECONVNET || y > 0.0f;
  return open && (rule == GRADIENT || dy > 0.0f) ? dy : 0.0f;
}

// dx = dy where a ReLU lets it pass: four elements a thread, the last ones singly.
extern "C" __global__ void relu_backward(
    float* __restrict__ dx, const float* __restrict__ y, const float* __restrict__ dy, int rule,
    int last) {
  int i = (blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (i + 3 <= last) {
    float4 a = *reinterpret_cast<const float4*>(y + i);
    float4 g = *reinterpret_cast<const float4*>(dy + i);
    *reinterpret_cast<float4*>(dx + i) = make_float4(
        passed(a.x, g.x, rule), passed(a.y, g.y, rule), passed(a.z, g.z, rule),
        passed(a.w, g.w, rule));
    return;
  }
  for (; i <= last; i++) dx[i] = passed(y[i], dy[i], rule);
}

// y = x moved by down and right, around the borders.
extern "C" __global__ void roll(
    float* __restrict__ y, const float* __restrict__ x, int channels, int height, int width,
    int down, int right) {
  // x and y are (channels, height, width)
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= channels * height * width) return;
  int v = i % width;
  int h = i / width % height;
  int c = i / (width * height);
  int from_h = ((h - down) % height + height) % height;
  int from_v = ((v - right) % width + width) % width;
  y[i] = x[(c * height + from_h) * width + from_v];
}

// CUDA's functions, one after the other: y is (FUNCTIONS, n).
#define FUNCTIONS 14
extern "C" __global__ void mathematics(float* y, const float* a, const float* b, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float results[FUNCTIONS] = {
      expf(a[i]),
      logf(fabsf(a[i])),
      tanhf(a[i]),
      erff(a[i]),
      powf(fabsf(a[i]), b[i]),
      fmaxf(a[i], b[i]),
      fminf(a[i], b[i]),
      rintf(a[i]),
      floorf(a[i]),
      fmodf(a[i], b[i]),
      copysignf(a[i], b[i]),
      rsqrtf(fabsf(a[i])),
      isnan(a[i]) ? 1.0f : 0.0f,
      isinf(a[i]) ? 1.0f : 0.0f,
  };
  for (int k = 0; k < FUNCTIONS; k++) y[k * n + i] = results[k];
}
