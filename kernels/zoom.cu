// y (images, rows, columns, channels) is x (images, h, w, channels) resampled bilinearly, corner to
// corner: the element in row j of y lies at j * (h - 1) / (rows - 1) in x, between two rows, and so
// for columns.
//
// A thread makes one element. The place is a division of integers, so that its fraction is exact
// however large the picture is. The cost is that of the bytes: of its four neighbours a thread
// finds three in the caches.

struct Between {
  int low;
  int high;
  float share;  // of what lies at `high`
};

// where element j of `count` lies among `size`
__device__ __forceinline__ Between between(int j, int count, int size) {
  if (count == 1) {
    return {0, 0, 0.0f};
  }
  const long long place = (long long)j * (size - 1);
  const int low = place / (count - 1);
  return {low, min(low + 1, size - 1), float(place % (count - 1)) / (count - 1)};
}

extern "C" __global__ void zoom(float* __restrict__ y, const float* __restrict__ x, int images,
                                int h, int w, int rows, int columns, int channels) {
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int channel = item % channels;
  const int column = item / channels % columns;
  const int row = item / channels / columns % rows;
  const int image = item / channels / columns / rows;
  if (image >= images) {
    return;
  }
  const Between r = between(row, rows, h);
  const Between c = between(column, columns, w);
  const float* top = x + (image * h + r.low) * w * channels + channel;
  const float* bottom = x + (image * h + r.high) * w * channels + channel;
  const float above = (1.0f - c.share) * top[c.low * channels] + c.share * top[c.high * channels];
  const float below =
      (1.0f - c.share) * bottom[c.low * channels] + c.share * bottom[c.high * channels];
  y[item] = (1.0f - r.share) * above + r.share * below;
}
