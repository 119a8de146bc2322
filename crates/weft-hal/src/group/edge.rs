//! How one device reaches another, in two words.
//!
//! What lives here: the one table of fields, from which the accessors, the packing and the list for tests are made. What
//! does not: which edges go together (`matrix.rs`).
//!
//! An edge leads from the device that reaches to the one that is reached: its wait mode says how the first waits for
//! signals of the second.

use weft_sync::{Result, bail};

use crate::mask_text::mask;

/// How a device uses something of another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LinkMode {
    /// As its own.
    #[default]
    Native = 0,
    /// As its own, after it was imported by a handle.
    Import = 1,
    /// Through a copy; semaphores through somebody who relays them.
    Copy = 2,
    /// Not at all.
    None = 3,
}

impl LinkMode {
    /// The device does it by itself: natively, or with what it imported.
    pub fn is_direct(self) -> bool {
        matches!(self, LinkMode::Native | LinkMode::Import)
    }
}

/// What lies between two devices: 3 bits, of which weft gives three values a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LinkClass(pub u8);

impl LinkClass {
    /// Nothing: they are one device.
    pub const SAME_DEVICE: LinkClass = LinkClass(0);
    /// Both work on the memory of one machine.
    pub const HOST_MEMORY: LinkClass = LinkClass(1);
    /// Nobody knows.
    pub const UNKNOWN: LinkClass = LinkClass(7);
}

mask! {
    /// What two devices can do for each other.
    pub struct EdgeCapabilities: u16, "edge capability" {
        combined {}
        single {
            /// Bytes have the same address for both.
            SAME_ADDRESSES = 1;
            /// Writes of one are seen by the other without a flush.
            COHERENT = 2;
            /// Atomic operations of both on the same bytes are atomic.
            ATOMICS = 4;
            /// They exchange bytes without a copy in between.
            PEER_TO_PEER = 8;
        }
    }
}

mask! {
    /// Handles by which semaphores or buffers pass from one device to another.
    pub struct HandleKinds: u8, "handle kind" {
        combined {}
        single {
            /// Objects and addresses of this process.
            PROCESS = 1;
        }
    }
}

/// A value of some bits of a word.
trait Field: Copy {
    fn to_raw(self) -> u64;
    /// From no more bits than the field has.
    fn from_raw(bits: u64) -> Self;
}

impl Field for u8 {
    fn to_raw(self) -> u64 {
        u64::from(self)
    }

    fn from_raw(bits: u64) -> u8 {
        bits as u8
    }
}

impl Field for LinkClass {
    fn to_raw(self) -> u64 {
        u64::from(self.0)
    }

    fn from_raw(bits: u64) -> LinkClass {
        LinkClass(bits as u8)
    }
}

impl Field for LinkMode {
    fn to_raw(self) -> u64 {
        self as u64
    }

    fn from_raw(bits: u64) -> LinkMode {
        [LinkMode::Native, LinkMode::Import, LinkMode::Copy, LinkMode::None][bits as usize & 3]
    }
}

impl Field for EdgeCapabilities {
    fn to_raw(self) -> u64 {
        u64::from(self.bits())
    }

    fn from_raw(bits: u64) -> EdgeCapabilities {
        EdgeCapabilities::from_bits_retain(bits as u16)
    }
}

impl Field for HandleKinds {
    fn to_raw(self) -> u64 {
        u64::from(self.bits())
    }

    fn from_raw(bits: u64) -> HandleKinds {
        HandleKinds::from_bits_retain(bits as u8)
    }
}

/// The first word: who waits how, at what cost.
const SCHEDULING: usize = 0;
/// The second word: by which handles.
const INTEROP: usize = 1;

const fn bits_of(width: u32) -> u64 {
    (1 << width) - 1
}

/// Field, type, word, first bit, number of bits.
macro_rules! edge_fields {
    ( $( $(#[$meta:meta])* $name:ident: $Type:ty = $word:ident[$first:literal; $width:literal]; )* ) => {
        /// An edge with its fields spelled out.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct EdgeFields {
            $( $(#[$meta])* pub $name: $Type, )*
        }

        impl EdgeFields {
            /// Name, word, first bit and number of bits of every field.
            pub const LAYOUT: &'static [(&'static str, usize, u32, u32)] =
                &[$( (stringify!($name), $word, $first, $width), )*];

            /// The two words. INVALID_ARGUMENT for a number that its field has no room for.
            pub fn pack(&self) -> Result<Edge> {
                let mut words = [0; 2];
                $(
                    let bits = self.$name.to_raw();
                    if bits > bits_of($width) {
                        bail!(InvalidArgument, "{bits} does not fit the {} bits of {}", $width, stringify!($name));
                    }
                    words[$word] |= bits << $first;
                )*
                Ok(Edge(words))
            }
        }

        impl Edge {
            /// All fields.
            pub fn fields(self) -> EdgeFields {
                EdgeFields { $( $name: self.$name(), )* }
            }

            $(
                $(#[$meta])*
                pub fn $name(self) -> $Type {
                    <$Type>::from_raw(self.0[$word] >> $first & bits_of($width))
                }
            )*
        }

        /// The bits of each word that mean something.
        const KNOWN: [u64; 2] = {
            let mut known = [0; 2];
            $(
                assert!(known[$word] & bits_of($width) << $first == 0, "fields do not overlap");
                known[$word] |= bits_of($width) << $first;
            )*
            known
        };
    };
}

edge_fields! {
    /// How it waits for signals.
    wait_mode: LinkMode = SCHEDULING[0; 2];
    /// How its signals are waited for.
    signal_mode: LinkMode = SCHEDULING[2; 2];
    /// How it reads memory that nobody keeps coherent.
    noncoherent_read_mode: LinkMode = SCHEDULING[4; 2];
    /// How it writes memory that nobody keeps coherent.
    noncoherent_write_mode: LinkMode = SCHEDULING[6; 2];
    /// How it reads coherent memory.
    coherent_read_mode: LinkMode = SCHEDULING[8; 2];
    /// How it writes coherent memory.
    coherent_write_mode: LinkMode = SCHEDULING[10; 2];
    /// What the two can do for each other.
    capabilities: EdgeCapabilities = SCHEDULING[12; 16];
    /// What a wait costs: 0 nothing, 15 the most.
    wait_cost: u8 = SCHEDULING[28; 4];
    /// What a signal costs: 0 nothing, 15 the most.
    signal_cost: u8 = SCHEDULING[32; 4];
    /// What a byte costs that is copied: 0 nothing, 15 the most.
    copy_cost: u8 = SCHEDULING[36; 4];
    /// How long anything takes to arrive: 0 no time, 15 the most.
    latency_class: u8 = SCHEDULING[40; 4];
    /// How far apart the memories are that they are next to: 0 not at all.
    numa_distance: u8 = SCHEDULING[44; 4];
    /// What lies between them.
    link_class: LinkClass = SCHEDULING[48; 3];
    /// Handles by which it takes semaphores.
    semaphore_import: HandleKinds = INTEROP[0; 8];
    /// Handles by which it gives semaphores.
    semaphore_export: HandleKinds = INTEROP[8; 8];
    /// Handles by which it takes buffers.
    buffer_import: HandleKinds = INTEROP[16; 8];
    /// Handles by which it gives buffers.
    buffer_export: HandleKinds = INTEROP[24; 8];
}

/// How one device reaches another.
///
/// ```
/// use weft_hal::group::{Edge, EdgeFields, LinkMode};
/// let edge = EdgeFields { wait_mode: LinkMode::Import, copy_cost: 7, ..EdgeFields::default() }.pack()?;
/// assert_eq!(edge.words(), [7 << 36 | 1, 0]);
/// assert_eq!(Edge::from_words(edge.words())?.copy_cost(), 7);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge([u64; 2]);

impl Edge {
    /// The edge with these words: scheduling, interop. INVALID_ARGUMENT if a reserved bit is set.
    pub fn from_words(words: [u64; 2]) -> Result<Edge> {
        for (word, known) in words.into_iter().zip(KNOWN) {
            if word & !known != 0 {
                bail!(InvalidArgument, "reserved bits {:#x} of an edge are set", word & !known);
            }
        }
        Ok(Edge(words))
    }

    /// The two words: scheduling, interop.
    pub fn words(self) -> [u64; 2] {
        self.0
    }

    /// A device that works on the memory of this machine reaches itself.
    pub fn to_self() -> Edge {
        Edge::of_host(LinkClass::SAME_DEVICE, 0)
    }

    /// It reaches another such device: semaphores and memory are shared objects of the process.
    pub fn to_host_device(is_same_node: bool) -> Edge {
        Edge::of_host(LinkClass::HOST_MEMORY, u8::from(!is_same_node))
    }

    fn of_host(link_class: LinkClass, numa_distance: u8) -> Edge {
        let fields = EdgeFields {
            capabilities: EdgeCapabilities::SAME_ADDRESSES
                | EdgeCapabilities::COHERENT
                | EdgeCapabilities::ATOMICS
                | EdgeCapabilities::PEER_TO_PEER,
            link_class,
            numa_distance,
            semaphore_import: HandleKinds::PROCESS,
            semaphore_export: HandleKinds::PROCESS,
            buffer_import: HandleKinds::PROCESS,
            buffer_export: HandleKinds::PROCESS,
            ..EdgeFields::default()
        };
        fields.pack().expect("constants that fit")
    }

    /// Memory of the other device can be used, as it is or by a handle.
    pub fn can_import(self) -> bool {
        self.noncoherent_read_mode().is_direct() || self.coherent_read_mode().is_direct()
    }

    /// Everything is used as one's own.
    pub fn is_native(self) -> bool {
        let modes = [
            self.wait_mode(),
            self.signal_mode(),
            self.noncoherent_read_mode(),
            self.noncoherent_write_mode(),
            self.coherent_read_mode(),
            self.coherent_write_mode(),
        ];
        modes.iter().all(|mode| *mode == LinkMode::Native)
    }
}
