// NumPy's .npy, version 1: float32 and int64, in C order, on a little-endian machine.

#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace npy {

template <class T> struct Array {
    std::vector<std::size_t> shape;
    std::vector<T> data;  // the last axis runs fastest
};

template <class T> const char *descr();
template <> inline const char *descr<float>() { return "<f4"; }
template <> inline const char *descr<std::int64_t>() { return "<i8"; }

inline const std::string magic("\x93NUMPY\x01\x00", 8);

// A file is the magic, two bytes with the length of a header, the header, and the data. The header
// is a Python dict, as NumPy writes it: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
template <class T> Array<T> read(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    char start[10];
    if (!file.read(start, 10) || std::string(start, 8) != magic)
        throw std::runtime_error(path + ": not a .npy file of version 1");
    const auto byte = [&](int i) { return static_cast<unsigned char>(start[i]); };
    std::string header(byte(8) | byte(9) << 8, ' ');
    file.read(&header[0], static_cast<std::streamsize>(header.size()));
    const auto has = [&](const std::string &text) { return header.find(text) != header.npos; };
    if (!has(std::string("'descr': '") + descr<T>() + "'") || !has("'fortran_order': False"))
        throw std::runtime_error(path + ": want " + descr<T>() + " in C order, not " + header);
    Array<T> array;
    std::size_t at = header.find("'shape': ("), count = 1;
    if (at == header.npos) throw std::runtime_error(path + ": no shape in " + header);
    const std::size_t end = header.find(')', at);
    while ((at = header.find_first_of("0123456789", at)) < end) {
        std::size_t digits;
        array.shape.push_back(std::stoull(header.substr(at), &digits));
        count *= array.shape.back();
        at += digits;
    }
    array.data.resize(count);
    const auto bytes = static_cast<std::streamsize>(count * sizeof(T));
    if (!file.read(reinterpret_cast<char *>(array.data.data()), bytes))
        throw std::runtime_error(path + ": ends early");
    return array;
}

template <class T> void write(const std::string &path, const Array<T> &array) {
    std::string header = std::string("{'descr': '") + descr<T>() + "', 'fortran_order': False, ";
    header += "'shape': (";
    for (const std::size_t each : array.shape) header += std::to_string(each) + ",";
    header += "), }";
    header.resize((10 + header.size()) / 64 * 64 + 64 - 10, ' ');  // the data are aligned to 64
    header.back() = '\n';
    std::ofstream file(path, std::ios::binary);
    file << magic << static_cast<char>(header.size() & 255) << static_cast<char>(header.size() >> 8)
         << header;
    file.write(reinterpret_cast<const char *>(array.data.data()),
               static_cast<std::streamsize>(array.data.size() * sizeof(T)));
    if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

}  // namespace npy
