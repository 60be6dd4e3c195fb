//! Everything that can go wrong in the simulator, in words that say what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The crate's error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A clip file cannot be read.
    #[error("read clip {path}")]
    ReadClip {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A clip file was read, and what stands in it cannot be served.
    #[error("load clip {path}")]
    LoadClip {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// The codec is told from the file's extension, and this one is none of ours.
    #[error("unknown kind of clip {path}: name it .h264, .264, .h265, .265 or .mjpeg")]
    UnknownClipKind {
        /// The file.
        path: PathBuf,
    },
    /// An elementary stream carries no picture rate, so the caller has to.
    #[error("no picture rate for clip {path}: name it like `gate@10fps.h264` or give the rate")]
    NoPictureRate {
        /// The file.
        path: PathBuf,
    },
    /// A picture rate outside what cameras have.
    #[error("picture rate `{rate}` is not a number of pictures a second from 0.1 to 240")]
    BadPictureRate {
        /// The rate as given.
        rate: String,
    },
    /// The stream ends within a syntax element, or has a value that the standard forbids.
    #[error("{what} is damaged or cut short: export the clip again")]
    DamagedClip {
        /// The part of the stream.
        what: &'static str,
    },
    /// The stream has no picture a decoder can start with.
    #[error("no keyframe with its parameter sets in the clip: cut it so that it begins with one")]
    NoKeyframe,
    /// The stream uses something the simulator does not serve.
    #[error("{what} is not supported: {instead}")]
    UnsupportedClip {
        /// What the stream has.
        what: String,
        /// How to get a clip without it.
        instead: &'static str,
    },
    /// A camera's name cannot stand in a URL as it is.
    #[error(
        "camera name `{name}` does not fit in a URL: use printable ASCII without spaces or `#`, not starting or ending with `/`"
    )]
    BadCameraName {
        /// The name.
        name: String,
    },
    /// Two cameras of one simulator have the same name.
    #[error("two cameras are named `{name}`: each needs a name of its own")]
    DuplicateCamera {
        /// The name.
        name: String,
    },
    /// No camera of that name is simulated.
    #[error("no camera named `{name}` is simulated")]
    UnknownCamera {
        /// The name.
        name: String,
    },
    /// A camera was told to show a clip it was not given.
    #[error("camera `{camera}` has no clip named `{clip}`: give it one (`--alternative NAME=FILE`)")]
    NoAlternative {
        /// The camera.
        camera: String,
        /// The clip's name.
        clip: String,
    },
    /// The account of a camera without credentials cannot be locked.
    #[error("camera `{camera}` has no account to lock: give it credentials")]
    NoAccount {
        /// The camera.
        camera: String,
    },
    /// A fault's word or its argument was not understood.
    #[error("`{text}` is no fault: use {forms}, or normal, which ends all", forms = crate::fault::FORMS)]
    BadFault {
        /// The text.
        text: String,
    },
    /// A duration was not understood.
    #[error("`{text}` is no duration: write a number with ms, s, m or h, like 20s")]
    BadDuration {
        /// The text.
        text: String,
    },
    /// A step of a schedule was not understood.
    #[error("schedule step {number} (`{step}`)")]
    BadStep {
        /// The step's place, from 1.
        number: usize,
        /// The step as given.
        step: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A step of a schedule has no colon.
    #[error("write a step as TIME:FAULT, like 20s:dark")]
    StepWithoutColon,
    /// The steps of a schedule go back in time.
    #[error("steps stand in order of time, and this one is earlier than the one before it")]
    StepOutOfOrder,
    /// The port cannot be had.
    #[error("listen on {address}: choose a free port, or 0 for any")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}
