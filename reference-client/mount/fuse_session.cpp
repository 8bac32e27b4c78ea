// Compiled where libfuse3 is there.

#include "reference-client/mount/fuse_session.hpp"

#include "reference-client/mount/mount.hpp"

#define FUSE_USE_VERSION 312
#include <climits>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace refclient::mount {
namespace {

/// The most of a write that the kernel passes on at a time, in bytes.
constexpr unsigned most_at_a_time = 1048576;
/// Requests of the kernel that are not waited for by a program, such as those of asynchronous input and
/// output.
constexpr unsigned most_in_background = 64;
/// Requests in flight at which no more are taken from the kernel.
constexpr std::size_t most_in_flight = 256;
/// Requests that are taken from the kernel before the server's replies are looked at.
constexpr int most_in_a_row = 32;

/// What libfuse complained of last.
std::string complaint;

void keep_complaint(fuse_log_level, const char* format, va_list arguments) {
    std::array<char, 512> text{};
    std::vsnprintf(text.data(), text.size(), format, arguments);
    complaint = text.data();
    complaint.erase(complaint.find_last_not_of('\n') + 1);
}

std::string escaped(const std::string& value) {
    std::string text;
    for (const char letter : value) {
        if (letter == ',' || letter == '\\') {
            text += '\\';
        }
        text += letter;
    }
    return text;
}

timespec now() {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return time;
}

} // namespace

struct FuseSession::Buffers {
    std::vector<fuse_buf> idle;

    ~Buffers() {
        for (const fuse_buf& buffer : idle) {
            std::free(buffer.mem);
        }
    }

    /// One that comes back by itself.
    static std::shared_ptr<fuse_buf> take(const std::shared_ptr<Buffers>& buffers) {
        fuse_buf buffer{};
        if (!buffers->idle.empty()) {
            buffer = buffers->idle.back();
            buffers->idle.pop_back();
        }
        return {new fuse_buf(buffer), [buffers](fuse_buf* used) {
                    buffers->idle.push_back(*used);
                    delete used;
                }};
    }
};

/// What the kernel calls.
struct FuseCalls {
    static FuseSession& self(fuse_req_t request) {
        return *static_cast<FuseSession*>(fuse_req_userdata(request));
    }

    static ExportFile::Done answer(fuse_req_t request) {
        return [request](int error) { fuse_reply_err(request, error); };
    }

    static void init(void*, fuse_conn_info* connection) {
        // Without it the kernel truncates by an operation of its own, which can fail.
        connection->want &= ~static_cast<unsigned>(FUSE_CAP_ATOMIC_O_TRUNC);
        connection->max_write = most_at_a_time;
        connection->max_background = most_in_background;
        connection->congestion_threshold = most_in_background;
    }

    static void reply_attributes(fuse_req_t request) {
        const struct stat status = self(request).attributes();
        fuse_reply_attr(request, &status, 0);
    }

    static void getattr(fuse_req_t request, fuse_ino_t, fuse_file_info*) {
        self(request).file_.refresh([request] { reply_attributes(request); });
    }

    static void setattr(fuse_req_t request, fuse_ino_t, struct stat* wanted, int what, fuse_file_info*) {
        struct stat& status = self(request).status_;
        const auto set = [what](int bit) { return (what & bit) != 0; };
        if (set(FUSE_SET_ATTR_MODE)) {
            status.st_mode = S_IFREG | (wanted->st_mode & 07777U);
        }
        status.st_uid = set(FUSE_SET_ATTR_UID) ? wanted->st_uid : status.st_uid;
        status.st_gid = set(FUSE_SET_ATTR_GID) ? wanted->st_gid : status.st_gid;
        if (set(FUSE_SET_ATTR_ATIME)) {
            status.st_atim = set(FUSE_SET_ATTR_ATIME_NOW) ? now() : wanted->st_atim;
        }
        if (set(FUSE_SET_ATTR_MTIME)) {
            status.st_mtim = set(FUSE_SET_ATTR_MTIME_NOW) ? now() : wanted->st_mtim;
        }
        status.st_ctim = now();
        if (!set(FUSE_SET_ATTR_SIZE)) {
            return reply_attributes(request);
        }
        self(request).file_.set_length(static_cast<std::uint64_t>(wanted->st_size), [request](int error) {
            if (error != 0) {
                fuse_reply_err(request, error);
                return;
            }
            self(request).status_.st_mtim = now();
            reply_attributes(request);
        });
    }

    static void statfs(fuse_req_t request, fuse_ino_t) {
        const ExportFile& file = self(request).file_;
        struct statvfs status {};
        status.f_bsize = status.f_frsize = 512;
        status.f_blocks = file.capacity() / 512;
        status.f_bfree = status.f_bavail = (file.capacity() - file.length()) / 512;
        status.f_files = 1;
        status.f_namemax = NAME_MAX;
        fuse_reply_statfs(request, &status);
    }

    static void open(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
        FuseSession& session = self(request);
        info->fh = ++session.last_handle_;
        session.open_.emplace(info->fh, session.file_.open_witness());
        info->direct_io = 1;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 15)
        info->parallel_direct_writes = 1;
#endif
        fuse_reply_open(request, info);
    }

    static void release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
        self(request).open_.erase(info->fh);
        fuse_reply_err(request, 0);
    }

    static void read(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info*) {
        self(request).file_.read(static_cast<std::uint64_t>(offset), size,
                                 [request](int error, std::span<const std::uint8_t> data) {
                                     if (error != 0) {
                                         fuse_reply_err(request, error);
                                     } else {
                                         fuse_reply_buf(request, reinterpret_cast<const char*>(data.data()),
                                                        data.size());
                                     }
                                 });
    }

    static void write(fuse_req_t request, fuse_ino_t, const char* data, std::size_t size, off_t offset,
                      fuse_file_info* info) {
        FuseSession& session = self(request);
        const FileWrite what{static_cast<std::uint64_t>(offset),
                             {reinterpret_cast<const std::uint8_t*>(data), size},
                             (info->flags & O_APPEND) != 0,
                             (info->flags & O_DSYNC) != 0};
        // The data are in the buffer of the request, which is kept for them.
        session.file_.write(what, [request, buffer = session.current_](int error, std::uint64_t count) {
            if (error != 0) {
                fuse_reply_err(request, error);
                return;
            }
            self(request).status_.st_mtim = self(request).status_.st_ctim = now();
            fuse_reply_write(request, count);
        });
    }

    static void fsync(fuse_req_t request, fuse_ino_t, int, fuse_file_info* info) {
        FuseSession& session = self(request);
        session.file_.flush(session.open_[info->fh], answer(request));
    }

    static void fallocate(fuse_req_t request, fuse_ino_t, int mode, off_t offset, off_t length,
                          fuse_file_info*) {
        const bool keep = (mode & FALLOC_FL_KEEP_SIZE) != 0;
        Allocate how = Allocate::reserve;
        switch (mode & ~FALLOC_FL_KEEP_SIZE) {
        case 0:
            break;
        case FALLOC_FL_PUNCH_HOLE:
            how = Allocate::punch_hole;
            break;
        case FALLOC_FL_ZERO_RANGE:
            how = Allocate::zero_range;
            break;
        default:
            fuse_reply_err(request, EOPNOTSUPP);
            return;
        }
        self(request).file_.allocate(how, keep, static_cast<std::uint64_t>(offset),
                                     static_cast<std::uint64_t>(length), [request](int error) {
                                         if (error == 0) {
                                             self(request).status_.st_mtim = now();
                                         }
                                         fuse_reply_err(request, error);
                                     });
    }

    static void lseek(fuse_req_t request, fuse_ino_t, off_t offset, int whence, fuse_file_info*) {
        if (whence != SEEK_DATA && whence != SEEK_HOLE) {
            fuse_reply_err(request, EINVAL);
            return;
        }
        self(request).file_.seek(static_cast<std::uint64_t>(offset),
                                 whence == SEEK_DATA ? Seek::data : Seek::hole,
                                 [request](int error, std::uint64_t found) {
                                     if (error != 0) {
                                         fuse_reply_err(request, error);
                                     } else {
                                         fuse_reply_lseek(request, static_cast<off_t>(found));
                                     }
                                 });
    }
};

namespace {

fuse_lowlevel_ops calls() {
    fuse_lowlevel_ops all{};
    all.init = FuseCalls::init;
    all.getattr = FuseCalls::getattr;
    all.setattr = FuseCalls::setattr;
    all.statfs = FuseCalls::statfs;
    all.open = FuseCalls::open;
    all.release = FuseCalls::release;
    all.read = FuseCalls::read;
    all.write = FuseCalls::write;
    all.fsync = FuseCalls::fsync;
    all.fallocate = FuseCalls::fallocate;
    all.lseek = FuseCalls::lseek;
    return all;
}

/// Throws where it is known before trying that nothing can be mounted. Whether a user may is for fusermount3
/// to say.
void need_fuse() {
    if (::access("/dev/fuse", F_OK) != 0) {
        const int code = errno;
        throw CannotMount(MountFault::no_fuse, code,
                          fmt::format("cannot use FUSE: /dev/fuse: {}; is the kernel module fuse loaded?",
                                      std::strerror(code)));
    }
}

} // namespace

FuseSession::FuseSession(ExportFile& file, const MountPoint& point, const std::string& source,
                         bool allow_other)
  : file_(file)
  , status_{}
  , buffers_(std::make_shared<Buffers>()) {
    need_fuse();
    status_.st_mode = point.below().st_mode;
    status_.st_uid = point.below().st_uid;
    status_.st_gid = point.below().st_gid;
    status_.st_atim = status_.st_mtim = status_.st_ctim = now();
    std::string options = fmt::format("fsname={},subtype=nbd,default_permissions", escaped(source));
    options += allow_other ? ",allow_other" : "";
    options += file.info().has(nbd::transmission_flag::read_only) ? ",ro" : "";
    std::string name = "nbd-resize-client";
    std::string dash_o = "-o";
    std::array<char*, 3> words = {name.data(), dash_o.data(), options.data()};
    fuse_args arguments = {static_cast<int>(words.size()), words.data(), 0};
    fuse_set_log_func(keep_complaint);
    const fuse_lowlevel_ops operations = calls();
    session_ = fuse_session_new(&arguments, &operations, sizeof(operations), this);
    if (session_ == nullptr || fuse_session_mount(session_, point.path().c_str()) != 0) {
        if (session_ != nullptr) {
            fuse_session_destroy(session_);
        }
        throw CannotMount(MountFault::no_fuse, EPERM,
                          fmt::format("FUSE does not mount over {}{}{}", point.path(),
                                      complaint.empty() ? "" : ": ", complaint));
    }
    const int device = fuse_session_fd(session_);
    ::fcntl(device, F_SETFL, ::fcntl(device, F_GETFL) | O_NONBLOCK);
}

FuseSession::~FuseSession() {
    fuse_session_unmount(session_);
    fuse_session_destroy(session_);
    current_.reset();
}

bool FuseSession::unmounted() const {
    return fuse_session_exited(session_) != 0;
}

struct stat FuseSession::attributes() const {
    struct stat status = status_;
    status.st_ino = FUSE_ROOT_ID;
    status.st_nlink = 1;
    status.st_size = static_cast<off_t>(std::min(file_.length(), length_limit));
    status.st_blocks = (status.st_size + 511) / 512;
    const std::optional<BlockSizes>& block = file_.info().block;
    status.st_blksize = block ? block->preferred : nbd::default_preferred_block;
    return status;
}

void FuseSession::receive() {
    for (int i = 0; i < most_in_a_row && file_.link().in_flight() < most_in_flight && !unmounted(); ++i) {
        if (!current_ || current_.use_count() > 1) {
            current_ = Buffers::take(buffers_);
        }
        if (fuse_session_receive_buf(session_, current_.get()) <= 0) {
            return;
        }
        fuse_session_process_buf(session_, current_.get());
    }
}

void FuseSession::serve(int until_readable) {
    Link& link = file_.link();
    while (!unmounted()) {
        const bool full = link.in_flight() >= most_in_flight;
        std::array<pollfd, 3> waiting{{{until_readable, POLLIN, 0},
                                       {full ? -1 : fuse_session_fd(session_), POLLIN, 0},
                                       {link.descriptor(), link.events(), 0}}};
        const int ready = ::poll(waiting.data(), waiting.size(), poll_timeout(link.deadline()));
        if (ready > 0 && waiting[0].revents != 0) {
            return;
        }
        link.move(ready > 0 ? waiting[2].revents : short{0});
        link.expire();
        if (ready > 0 && waiting[1].revents != 0) {
            receive();
            link.send();
        }
        // What was waited for meanwhile may have brought replies to others.
        link.take();
    }
}

} // namespace refclient::mount
