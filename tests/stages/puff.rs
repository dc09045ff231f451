//! A reader of DEFLATE data (RFC 1951) by our own means: slow, strict, and with a window of a given size. It is the peer of what the library
//! compresses, and shares no code with what the library inflates with.

/// Inflates one message after another, with or without the window of those before.
pub(crate) struct Puff {
    window: usize,
    takeover: bool,
    history: Vec<u8>,
    /// The farthest that any message has referred back.
    pub(crate) farthest: usize,
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> usize {
        let mut value = 0;
        for place in 0..count {
            let byte = *self.bytes.get(self.at / 8).expect("the data ends within a block");
            value |= usize::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        value
    }

    fn ends(&self) -> bool {
        self.at.div_ceil(8) == self.bytes.len()
    }
}

/// A Huffman code: how many codes there are of each length, and the symbols in the order of their codes.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|&length| counts[length] += 1);
        let mut symbols = Vec::new();
        for length in 1..16 {
            symbols.extend((0..lengths.len()).filter(|&symbol| lengths[symbol] == length));
        }
        Self { counts, symbols }
    }

    fn read(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for length in 1..16 {
            code |= bits.take(1);
            let count = self.counts[length];
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("a code that is none");
    }
}

impl Puff {
    pub(crate) fn new(window_bits: u8, takeover: bool) -> Self {
        Self { window: 1 << window_bits, takeover, history: Vec::new(), farthest: 0 }
    }

    /// Inflates a message, from which the sender has removed the tail.
    pub(crate) fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.history.clear();
        }
        let began = self.history.len();
        let bytes = [payload, &[0, 0, 0xff, 0xff]].concat();
        let mut bits = Bits { bytes: &bytes, at: 0 };
        loop {
            let last = bits.take(1);
            match bits.take(2) {
                0 => self.stored(&mut bits),
                1 => {
                    let lengths: Vec<usize> =
                        [(144, 8), (112, 9), (24, 7), (8, 8)].iter().flat_map(|&(n, length)| vec![length; n]).collect();
                    self.block(&mut bits, &Code::new(&lengths), &Code::new(&[5; 30]));
                }
                2 => self.dynamic(&mut bits),
                _ => panic!("a block of the reserved type"),
            }
            if bits.ends() {
                assert_eq!(bits.at % 8, 0, "an empty stored block is the end");
                return self.history[began..].to_vec();
            }
            assert_eq!(last, 0, "nothing of ours has BFINAL set");
        }
    }

    fn stored(&mut self, bits: &mut Bits<'_>) {
        bits.at = bits.at.next_multiple_of(8);
        let (length, complement) = (bits.take(16), bits.take(16));
        assert_eq!(length ^ 0xffff, complement, "LEN and NLEN");
        for _ in 0..length {
            let byte = bits.take(8) as u8;
            self.history.push(byte);
        }
    }

    fn dynamic(&mut self, bits: &mut Bits<'_>) {
        let (literals, distances, codes) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
        let mut lengths = [0; 19];
        for place in &[16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15][..codes] {
            lengths[*place] = bits.take(3);
        }
        let code = Code::new(&lengths);
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match code.read(bits) {
                16 => (*lengths.last().expect("a length to repeat"), 3 + bits.take(2)),
                17 => (0, 3 + bits.take(3)),
                18 => (0, 11 + bits.take(7)),
                length => (length, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        self.block(bits, &Code::new(&lengths[..literals]), &Code::new(&lengths[literals..]));
    }

    fn block(&mut self, bits: &mut Bits<'_>, literals: &Code, distances: &Code) {
        loop {
            match literals.read(bits) {
                literal @ 0..=255 => self.history.push(literal as u8),
                256 => return,
                285 => self.copy(258, distances, bits),
                length @ 257..=264 => self.copy(length - 254, distances, bits),
                length @ 265..=284 => {
                    let (extra, step) = ((length - 261) / 4, (length - 261) % 4);
                    let length = ((4 + step) << extra) + 3 + bits.take(extra);
                    self.copy(length, distances, bits);
                }
                symbol => panic!("symbol {symbol}"),
            }
        }
    }

    fn copy(&mut self, length: usize, distances: &Code, bits: &mut Bits<'_>) {
        let distance = match distances.read(bits) {
            symbol @ 0..=3 => symbol + 1,
            symbol => {
                let extra = symbol / 2 - 1;
                ((2 + symbol % 2) << extra) + 1 + bits.take(extra)
            }
        };
        assert!(distance <= self.window, "a distance of {distance} in a window of {}", self.window);
        assert!(distance <= self.history.len(), "a distance of {distance} behind {} bytes", self.history.len());
        self.farthest = self.farthest.max(distance);
        for _ in 0..length {
            self.history.push(self.history[self.history.len() - distance]);
        }
    }
}
