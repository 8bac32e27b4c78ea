// What the backends have in common, and what each has of its own.

#include "reference-server/backend/errors.hpp"
#include "reference-server/backend/file.hpp"
#include "reference-server/backend/memory.hpp"
#include "reference-server/backend/sparse_memory.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <system_error>
#include <unistd.h>

namespace refserver {
namespace {

/// A file that is removed at the end.
class TemporaryFile {
  public:
    explicit TemporaryFile(std::uint64_t size)
      : path_((std::filesystem::temp_directory_path() / "refserver-test-XXXXXX").string()) {
        const int number = ::mkstemp(path_.data());
        if (number < 0 || ::ftruncate(number, static_cast<off_t>(size)) != 0) {
            throw std::system_error(errno, std::system_category(), path_);
        }
        ::close(number);
    }
    ~TemporaryFile() { ::unlink(path_.c_str()); }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    void resize(std::uint64_t size) const { std::filesystem::resize_file(path_, size); }
    [[nodiscard]] std::uint64_t size() const { return std::filesystem::file_size(path_); }

  private:
    std::string path_;
};

/// A backend and the ways to carry out operations on it.
class Store {
  public:
    explicit Store(std::shared_ptr<Backend> backend)
      : backend_(std::move(backend)) {}

    Operation& run(Operation::Kind kind, std::uint64_t offset, std::uint64_t length,
                   const std::function<void(Operation&)>& prepare = {}) {
        operation_ = Operation{};
        operation_.kind = kind;
        operation_.offset = offset;
        operation_.length = length;
        if (kind == Operation::Kind::read || kind == Operation::Kind::write) {
            operation_.buffer = pool_.take(length);
        }
        if (prepare) {
            prepare(operation_);
        }
        // Whatever can be done at once is, the rest as a worker would do it.
        if (!backend_->try_now(operation_)) {
            backend_->perform(operation_);
        }
        return operation_;
    }

    nbd::Error write(std::uint64_t offset, const std::string& data) {
        return run(Operation::Kind::write, offset, data.size(),
                   [&](Operation& operation) {
                       std::memcpy(operation.buffer.data(), data.data(), data.size());
                   })
            .error;
    }

    std::string read(std::uint64_t offset, std::uint64_t length, bool tell_holes = false) {
        const Operation& done =
            run(Operation::Kind::read, offset, length, [&](Operation& o) { o.tell_holes = tell_holes; });
        if (done.error != nbd::Error::none) {
            return "error: " + done.message;
        }
        std::string data;
        for (const Piece& piece : done.pieces) {
            data += piece.data == nullptr
                        ? std::string(piece.length, '\0')
                        : std::string(reinterpret_cast<const char*>(piece.data), piece.length);
        }
        return data;
    }

    std::vector<Extent> status(std::uint64_t offset, std::uint64_t length) {
        return run(Operation::Kind::status, offset, length).extents;
    }

    /// How many bytes of [offset, offset + length) are told to be holes.
    std::uint64_t holes(std::uint64_t offset, std::uint64_t length) {
        std::uint64_t sum = 0;
        std::uint64_t at = offset;
        for (const Extent& extent : status(offset, length)) {
            const std::uint64_t end = std::min(at + extent.length, offset + length);
            sum += (extent.status & nbd::allocation_flag::hole) != 0 && end > at ? end - at : 0;
            at += extent.length;
        }
        EXPECT_GE(at, offset + length);
        return sum;
    }

    Backend& backend() { return *backend_; }

  private:
    std::shared_ptr<Backend> backend_;
    BufferPool pool_;
    Operation operation_;
};

enum class Which { memory, sparse, file };

std::string name_of(Which which) {
    return which == Which::memory ? "memory" : which == Which::sparse ? "sparse" : "file";
}

std::shared_ptr<SparseMemory> sparse_memory(std::uint64_t size, std::uint64_t budget = 1 << 30) {
    return std::make_shared<SparseMemory>(size, std::make_shared<MemoryBudget>(budget));
}

class BackendTest : public testing::TestWithParam<Which> {
  protected:
    Store& make(std::uint64_t size) {
        if (GetParam() == Which::memory) {
            store_.emplace(std::make_shared<MemoryBackend>(size));
        } else if (GetParam() == Which::sparse) {
            store_.emplace(sparse_memory(size));
        } else {
            file_.emplace(size);
            store_.emplace(std::make_shared<FileBackend>(file_->path(), false));
        }
        return *store_;
    }

  private:
    std::optional<TemporaryFile> file_;
    std::optional<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(All, BackendTest, testing::Values(Which::memory, Which::sparse, Which::file),
                         [](const auto& instance) { return name_of(instance.param); });

TEST_P(BackendTest, is_zero_at_first_and_of_the_given_size) {
    for (const std::uint64_t size : {0U, 1U, 1000U, 4096U, 65537U}) {
        Store& store = make(size);
        EXPECT_EQ(store.backend().size(), size);
        EXPECT_EQ(store.read(0, size), std::string(size, '\0'));
    }
}

TEST_P(BackendTest, reads_back_what_was_written) {
    Store& store = make(1 << 20);
    for (const std::uint64_t offset : {0U, 1U, 511U, 4095U, 4096U, 5000U, (1U << 20) - 7}) {
        EXPECT_EQ(store.write(offset, "pattern"), nbd::Error::none);
        EXPECT_EQ(store.read(offset, 7), "pattern");
    }
    EXPECT_EQ(store.read(5005, 4), std::string("rn\0\0", 4));
}

TEST_P(BackendTest, writes_of_many_sizes_leave_their_neighbours_alone) {
    constexpr std::uint64_t size = std::uint64_t{40} << 20;
    Store& store = make(size);
    for (const std::uint64_t length :
         {std::uint64_t{1}, std::uint64_t{4096}, std::uint64_t{5} << 20, std::uint64_t{33} << 20}) {
        std::string data(length, '\0');
        std::iota(data.begin(), data.end(), '\1');
        EXPECT_EQ(store.write(1000, std::string(length + 2, '#')), nbd::Error::none);
        EXPECT_EQ(store.write(1001, data), nbd::Error::none);
        EXPECT_TRUE(store.read(1000, length + 2) == "#" + data + "#") << length;
        EXPECT_EQ(store.run(Operation::Kind::zero, 0, size).error, nbd::Error::none);
    }
}

TEST_P(BackendTest, zeroes_exactly_the_range) {
    struct {
        std::uint64_t offset;
        std::uint64_t length;
    } const ranges[] = {{0, 1},     {100, 100},     {4090, 10},  {4096, 4096},
                        {1, 65535}, {5000, 200000}, {0, 1 << 19}};
    for (const bool no_hole : {false, true}) {
        for (const auto& range : ranges) {
            Store& store = make(1 << 20);
            ASSERT_EQ(store.write(0, std::string(1 << 20, 'x')), nbd::Error::none);
            EXPECT_EQ(store
                          .run(Operation::Kind::zero, range.offset, range.length,
                               [&](Operation& o) { o.no_hole = no_hole; })
                          .error,
                      nbd::Error::none);
            std::string expected(1 << 20, 'x');
            expected.replace(range.offset, range.length, range.length, '\0');
            EXPECT_TRUE(store.read(0, 1 << 20) == expected)
                << range.offset << "+" << range.length << " " << no_hole;
            EXPECT_TRUE(store.read(0, 1 << 20, true) == expected) << range.offset << "+" << range.length;
        }
    }
}

TEST_P(BackendTest, trim_touches_nothing_outside_its_range) {
    Store& store = make(1 << 20);
    ASSERT_EQ(store.write(0, std::string(1 << 20, 'x')), nbd::Error::none);
    EXPECT_EQ(store.run(Operation::Kind::trim, 100, 100000).error, nbd::Error::none);
    EXPECT_EQ(store.read(0, 100), std::string(100, 'x'));
    EXPECT_TRUE(store.read(100100, (1 << 20) - 100100) == std::string((1 << 20) - 100100, 'x'));
}

TEST_P(BackendTest, tells_holes) {
    Store& store = make(1 << 20);
    EXPECT_EQ(store.holes(0, 1 << 20), 1U << 20);
    ASSERT_EQ(store.write(256 << 10, std::string(64 << 10, 'x')), nbd::Error::none);
    EXPECT_EQ(store.holes(256 << 10, 64 << 10), 0U);
    EXPECT_EQ(store.holes(0, 1 << 20), (1U << 20) - (64U << 10));
    EXPECT_EQ(store.run(Operation::Kind::zero, 256 << 10, 64 << 10).error, nbd::Error::none);
    EXPECT_EQ(store.holes(0, 1 << 20), 1U << 20);
    for (const Extent& extent : store.status(0, 1 << 20)) {
        EXPECT_NE(extent.length, 0U);
        EXPECT_EQ(extent.status, nbd::allocation_flag::hole | nbd::allocation_flag::zero);
    }
}

TEST_P(BackendTest, tells_at_least_one_extent_of_the_smallest_range) {
    Store& store = make(1000);
    ASSERT_EQ(store.write(0, std::string(1000, 'x')), nbd::Error::none);
    for (const std::uint64_t offset : {0U, 1U, 511U, 512U, 999U}) {
        const auto extents = store.status(offset, 1);
        ASSERT_EQ(extents.size(), 1U);
        EXPECT_GE(extents[0].length, 1U);
        EXPECT_LE(offset + extents[0].length, 1000U);
    }
}

TEST_P(BackendTest, a_hole_that_is_told_is_read_as_one) {
    Store& store = make(1 << 20);
    const Operation& done =
        store.run(Operation::Kind::read, 1 << 19, 1 << 18, [](Operation& o) { o.tell_holes = true; });
    ASSERT_EQ(done.pieces.size(), 1U);
    EXPECT_EQ(done.pieces[0].length, 1U << 18);
    EXPECT_EQ(done.pieces[0].data, nullptr);
}

TEST_P(BackendTest, flush_cache_and_durable_writes_succeed) {
    Store& store = make(1 << 20);
    EXPECT_EQ(store.run(Operation::Kind::flush, 0, 0).error, nbd::Error::none);
    EXPECT_EQ(store.run(Operation::Kind::cache, 0, 1 << 20).error, nbd::Error::none);
    for (const auto kind : {Operation::Kind::write, Operation::Kind::trim, Operation::Kind::zero}) {
        const auto error = store
                               .run(kind, 0, 512,
                                    [](Operation& o) {
                                        o.fua = true;
                                        if (!o.buffer.empty()) {
                                            std::memset(o.buffer.data(), 'x', o.length);
                                        }
                                    })
                               .error;
        EXPECT_EQ(error, nbd::Error::none);
    }
}

/// Those whose size can be changed.
class ResizableTest : public BackendTest {
  protected:
    nbd::Error resize(Store& store, std::uint64_t to, bool leave_old_bytes = false, bool allocate = false) {
        const std::uint64_t from = store.backend().size();
        const nbd::Error error = store.backend().set_size({from, to, leave_old_bytes, allocate}).error;
        EXPECT_EQ(store.backend().size(), error == nbd::Error::none ? to : from);
        return error;
    }
};

INSTANTIATE_TEST_SUITE_P(Both, ResizableTest, testing::Values(Which::sparse, Which::file),
                         [](const auto& instance) { return name_of(instance.param); });

TEST_P(ResizableTest, what_was_cut_off_is_zero_when_it_comes_back) {
    for (const std::uint64_t cut : {0U, 1U, 4095U, 4096U, 4097U, 9999U}) {
        Store& store = make(10000);
        EXPECT_EQ(store.write(0, std::string(10000, 'x')), nbd::Error::none);
        EXPECT_EQ(resize(store, cut), nbd::Error::none);
        EXPECT_NE(store.run(Operation::Kind::read, cut, 1).error, nbd::Error::none);
        EXPECT_NE(store.write(cut, "y"), nbd::Error::none);
        EXPECT_EQ(resize(store, 20000), nbd::Error::none);
        EXPECT_EQ(store.read(0, 20000), std::string(cut, 'x') + std::string(20000 - cut, '\0'));
    }
}

TEST_P(ResizableTest, allocates_what_must_not_be_sparse) {
    Store& store = make(10000);
    EXPECT_EQ(resize(store, 200000, false, true), nbd::Error::none);
    if (GetParam() == Which::sparse) {
        // File systems tell what is allocated and never written as a hole; the program's test looks at its
        // room.
        EXPECT_EQ(store.holes(16384, 200000 - 16384), 0U);
    }
    EXPECT_EQ(store.read(0, 200000), std::string(200000, '\0'));
}

TEST_P(ResizableTest, exposes_junk_on_purpose) {
    Store& store = make(5000);
    EXPECT_EQ(resize(store, 12000, true), nbd::Error::none);
    const std::string data = store.read(0, 12000);
    EXPECT_EQ(data.substr(0, 5000), std::string(5000, '\0'));
    EXPECT_EQ(data.find('\0', 5000), std::string::npos);
    EXPECT_EQ(store.write(6000, "x"), nbd::Error::none);
    std::string expected = data;
    expected[6000] = 'x';
    EXPECT_EQ(store.read(0, 12000), expected);
}

TEST_P(ResizableTest, what_cannot_be_had_leaves_the_size) {
    Store& store = make(5000);
    EXPECT_EQ(resize(store, 9223372036854775807, false, true), nbd::Error::nospc);
    EXPECT_EQ(store.read(0, 5000), std::string(5000, '\0'));
}

TEST(SparseMemory, brings_back_what_was_cut_off_where_that_is_wanted) {
    Store store(sparse_memory(10000));
    EXPECT_EQ(store.write(3000, std::string(5000, 'x')), nbd::Error::none);
    (void)store.backend().set_size({10000, 4000, true, false});
    (void)store.backend().set_size({4000, 10000, true, false});
    EXPECT_EQ(store.read(0, 10000),
              std::string(3000, '\0') + std::string(5000, 'x') + std::string(2000, '\0'));
}

TEST(SparseMemory, holes_in_junk_stay_holes) {
    Store store(sparse_memory(0));
    constexpr std::uint64_t size = std::uint64_t{1} << 40;
    (void)store.backend().set_size({0, size, true, false});
    for (std::uint64_t i = 0; i < 3000; ++i) {
        EXPECT_EQ(store.run(Operation::Kind::zero, i * 10000, 5000).error, nbd::Error::none);
    }
    EXPECT_EQ(store.read(29990000, 5000), std::string(5000, '\0'));
    EXPECT_EQ(store.read(29995000, 100).find('\0'), std::string::npos);
    EXPECT_EQ(store.run(Operation::Kind::zero, 0, size).error, nbd::Error::none);
    EXPECT_EQ(store.holes(0, size), size);
}

TEST(SparseMemory, takes_no_more_than_its_budget) {
    Store store(sparse_memory(1 << 20, 20 * SparseMemory::page));
    EXPECT_EQ(store.write(0, std::string(25 * SparseMemory::page, 'x')), nbd::Error::nospc);
    EXPECT_EQ(store.read(0, 100), std::string(100, '\0')) << "nothing was written";
    EXPECT_EQ(store.write(0, std::string(15 * SparseMemory::page, 'x')), nbd::Error::none);
}

TEST(FileBackend, leaves_no_part_of_a_block_behind_its_end) {
    TemporaryFile file(1000);
    Store store(std::make_shared<FileBackend>(file.path(), false));
    EXPECT_EQ(store.write(512, std::string(488, 'x')), nbd::Error::none);
    EXPECT_EQ(store.backend().set_size({512, 1024, false, false}).error, nbd::Error::none);
    EXPECT_EQ(store.read(512, 512), std::string(512, '\0'));
}

TEST(MemoryBackend, no_hole_allocates) {
    Store store(std::make_shared<MemoryBackend>(1 << 20));
    store.run(Operation::Kind::zero, 0, 1 << 19, [](Operation& o) { o.no_hole = true; });
    EXPECT_EQ(store.holes(0, 1 << 19), 0U);
    EXPECT_EQ(store.holes(0, 1 << 20), 1U << 19);
}

TEST(MemoryBackend, a_disk_much_larger_than_memory_takes_none) {
    constexpr std::uint64_t size = std::uint64_t{1} << 39;
    Store store(std::make_shared<MemoryBackend>(size));
    EXPECT_EQ(store.write(size - 4, "last"), nbd::Error::none);
    EXPECT_EQ(store.read(size - 8, 8), std::string("\0\0\0\0last", 8));
    EXPECT_EQ(store.run(Operation::Kind::trim, 0, size).error, nbd::Error::none);
    EXPECT_EQ(store.read(size - 8, 8), std::string(8, '\0'));
    std::uint64_t told = 0;
    for (const Extent& extent : store.status(0, size)) {
        told += extent.length;
    }
    EXPECT_GT(told, 0U);
}

TEST(MemoryBackend, what_cannot_be_had_is_an_error) {
    EXPECT_THROW(MemoryBackend{std::uint64_t{1} << 60}, std::system_error);
    EXPECT_THROW(MemoryBackend{~std::uint64_t{0}}, std::system_error);
}

TEST(FileBackend, reports_what_became_of_the_file) {
    const TemporaryFile file(8192);
    Store store(std::make_shared<FileBackend>(file.path(), false));
    ASSERT_EQ(store.write(0, std::string(8192, 'x')), nbd::Error::none);
    file.resize(4096);
    EXPECT_EQ(store.read(0, 4096), std::string(4096, 'x'));
    for (const auto kind : {Operation::Kind::read, Operation::Kind::write, Operation::Kind::zero,
                            Operation::Kind::trim, Operation::Kind::status}) {
        const Operation& done = store.run(kind, 4000, 1000, [](Operation& o) {
            if (o.kind == Operation::Kind::write) {
                std::memset(o.buffer.data(), 'y', o.length);
            }
        });
        EXPECT_EQ(done.error, nbd::Error::io);
        EXPECT_NE(done.message.find("4096"), std::string::npos) << done.message;
    }
    EXPECT_EQ(file.size(), 4096U) << "the file was made longer again";
    EXPECT_EQ(store.backend().size(), 4096U);
    EXPECT_EQ(store.read(4000, 96), std::string(96, 'x')) << "a refused write left traces";
    file.resize(1 << 20);
    EXPECT_EQ(store.backend().size(), 1U << 20);
    EXPECT_EQ(store.write(500000, "grown"), nbd::Error::none);
}

TEST(FileBackend, a_large_read_of_a_file_that_became_shorter_is_no_hole) {
    const TemporaryFile file(1 << 20);
    Store store(std::make_shared<FileBackend>(file.path(), false));
    file.resize(4096);
    EXPECT_EQ(
        store.run(Operation::Kind::read, 1 << 19, 1 << 18, [](Operation& o) { o.tell_holes = true; }).error,
        nbd::Error::io);
}

TEST(FileBackend, what_cannot_be_opened_is_named) {
    const auto message = [](const std::string& path) -> std::string {
        try {
            const FileBackend backend(path, false);
        } catch (const std::system_error& error) {
            return error.what();
        }
        return "no error";
    };
    EXPECT_NE(message("/nonexistent/disk.img").find("/nonexistent/disk.img"), std::string::npos);
    EXPECT_NE(message("/tmp").find("/tmp"), std::string::npos);
    EXPECT_NE(message("/dev/null").find("neither a regular file nor a block device"), std::string::npos);
}

TEST(FileBackend, read_only_is_told) {
    const TemporaryFile file(4096);
    const FileBackend backend(file.path(), true);
    EXPECT_TRUE(backend.read_only());
}

TEST(Errors, of_the_system_become_those_of_the_protocol) {
    const std::map<int, nbd::Error> expected{{0, nbd::Error::none},
                                             {EPERM, nbd::Error::perm},
                                             {EROFS, nbd::Error::perm},
                                             {EACCES, nbd::Error::perm},
                                             {EIO, nbd::Error::io},
                                             {ENOMEM, nbd::Error::nomem},
                                             {EINVAL, nbd::Error::inval},
                                             {ENOSPC, nbd::Error::nospc},
                                             {EDQUOT, nbd::Error::nospc},
                                             {EFBIG, nbd::Error::nospc},
                                             {ESHUTDOWN, nbd::Error::shutdown}};
    for (const auto& [number, error] : expected) {
        EXPECT_EQ(from_errno(number), error) << number;
    }
    for (int number = 1; number < 134; ++number) {
        if (!expected.contains(number)) {
            EXPECT_EQ(from_errno(number), nbd::Error::io) << number;
        }
    }
}

} // namespace
} // namespace refserver
