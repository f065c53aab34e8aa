/* Which pixels speak for a class, in C++: pip install openvino, which brings headers and library.

   OV=$(python -c "import openvino; print(openvino.__path__[0])")
   g++ -std=c++17 examples/saliency.cpp -o saliency \
     -isystem $OV/include $OV/libs/libopenvino.so.* -Wl,-rpath,$OV/libs
   oneiro export squeezenet1.1 saliency.onnx --what saliency
   ./saliency saliency.onnx photo.ppm map.pgm [CLASS] */

#include <openvino/openvino.hpp>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

int main(int count, char** arguments) try {
  const std::vector<std::string> words(arguments, arguments + count);
  std::int64_t which = -1;
  if (count < 4 || count > 5 || (count == 5 && !(std::istringstream(words[4]) >> which)))
    throw std::runtime_error("usage: saliency MODEL PHOTO.ppm MAP.pgm [CLASS]");
  for (const auto& name : {words[1], words[2]})
    if (!std::ifstream(name)) throw std::runtime_error(name + " cannot be read");

  // a binary PPM: "P6 width height 255", then the bytes of red, green and blue
  std::ifstream photo(words[2], std::ios::binary);
  std::string kind;
  unsigned short width = 0, height = 0, white = 0;
  photo >> kind >> width >> height >> white;
  photo.get();
  std::vector<char> bytes(std::size_t{3} * width * height);
  if (!photo.read(bytes.data(), bytes.size()) || bytes.empty() || kind != "P6" || white != 255)
    throw std::runtime_error(words[2] + " is no binary PPM of 8 bits");
  ov::Tensor picture(ov::element::f32, {1, height, width, 3});
  const auto as_number = [](char byte) { return static_cast<unsigned char>(byte); };
  std::transform(bytes.begin(), bytes.end(), picture.data<float>(), as_number);

  // CPUs that know bfloat16 would compute in it, and the map would be another
  const auto exact = ov::hint::inference_precision(ov::element::f32);
  auto request = ov::Core().compile_model(words[1], "CPU", exact).create_infer_request();
  request.set_tensor("picture", picture);
  request.set_tensor("class", ov::Tensor(ov::element::i64, {}, &which));
  request.infer();
  const auto map = request.get_tensor("map"), scores = request.get_tensor("scores");
  const auto chosen = *request.get_tensor("chosen").data<std::int64_t>();
  if (static_cast<std::size_t>(chosen) >= scores.get_size())
    throw std::runtime_error("there is no class " + std::to_string(chosen));

  const float *from = map.data<float>(), *to = from + map.get_size();
  const float largest = *std::max_element(from, to);
  std::ofstream grey(words[3], std::ios::binary);
  grey << "P5 " << width << " " << height << " 255\n";
  for (; from != to; ++from) grey.put(static_cast<unsigned char>(255 * *from / largest));
  if (!grey.flush()) throw std::runtime_error(words[3] + " cannot be written");
  std::cout << "class " << chosen << ", score " << std::fixed << std::setprecision(2)
            << scores.data<float>()[chosen] << "\n";
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
