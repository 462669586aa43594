//! Dictionaries that are encoded once for all callers: the details of `LoginStatus`, and the
//! properties in the answers of `GetAll` and `GetManagedObjects`.
//!
//! Encoding them takes many times as long as sending them. The elements of a dictionary begin at
//! a multiple of eight bytes wherever in a message it stands, so that its bytes can be kept, and
//! be written again as words of eight; zbus takes these for the elements of the array that a
//! dictionary is. As with [`encoded`](super::encoded) a caller of the other byte order is
//! answered by plain encoding, and so is everybody should a later zbus write something else.

use std::{marker::PhantomData, sync::OnceLock};

use serde::{Serialize, Serializer, ser::SerializeSeq};
use zbus::{
    Signature, Type,
    message::{EndianSig, PrimaryHeader},
    wire::{NATIVE_ENDIAN, serialized::Context, to_bytes},
};

/// The length of an array at the start of a body, and the padding after it.
const BEFORE: usize = 8;

/// What a dictionary has in it, without the length; made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Content(OnceLock<Option<Box<[u8]>>>);

impl Content {
    /// The bytes of `dictionary`; `None` if they can't be written by [`Content::write`].
    pub(super) fn of<T: Serialize + Type>(&self, dictionary: impl FnOnce() -> T) -> Option<&[u8]> {
        let made = self.0.get_or_init(|| {
            let plain = to_bytes(native(), &dictionary()).ok()?;
            let content = plain.get(BEFORE..)?;
            let kept = to_bytes(native(), &Kept::<T>(content, PhantomData)).ok()?;
            (*kept == *plain).then(|| content.into())
        });
        made.as_deref()
    }

    /// Writes the dictionary whose bytes are these, one content after the other.
    pub(super) fn write<'a, S: Serializer>(
        contents: impl IntoIterator<Item = &'a [u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut elements = serializer.serialize_seq(None)?;
        for content in contents {
            // The first word brings its padding with it.
            let (words, rest) = content.as_chunks::<8>();
            for word in words {
                elements.serialize_element(&u64::from_ne_bytes(*word))?;
            }
            for byte in rest {
                elements.serialize_element(byte)?;
            }
        }
        elements.end()
    }
}

/// A dictionary of the type `T`, by its bytes.
struct Kept<'a, T>(&'a [u8], PhantomData<T>);

impl<T: Type> Type for Kept<'_, T> {
    const SIGNATURE: &'static Signature = T::SIGNATURE;
}

impl<T> Serialize for Kept<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Content::write([self.0], serializer)
    }
}

/// Whether the caller, whose reply is in its own byte order, has ours.
pub(super) fn is_native(call: &PrimaryHeader) -> bool {
    call.endian_sig() == EndianSig::from(NATIVE_ENDIAN)
}

/// The start of a body in this machine's byte order.
pub(super) fn native() -> Context {
    Context::new(NATIVE_ENDIAN, 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    struct Parts(Vec<Vec<u8>>);

    impl Type for Parts {
        const SIGNATURE: &'static Signature = BTreeMap::<String, String>::SIGNATURE;
    }

    impl Serialize for Parts {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Content::write(self.0.iter().map(Vec::as_slice), serializer)
        }
    }

    fn text() -> impl Strategy<Value = String> {
        "[a-zü]{0,9}"
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_zbus_writes(
            before in text(),
            dictionary in btree_map(text(), (any::<u16>(), text()), 0..4),
        ) {
            let content = Content::default();
            let kept = content.of(|| dictionary.clone()).unwrap();
            let kept = Kept::<BTreeMap<String, (u16, String)>>(kept, PhantomData);
            let kept = to_bytes(native(), &(&before, kept)).unwrap();
            prop_assert_eq!(&*kept, &*to_bytes(native(), &(&before, dictionary)).unwrap());
        }

        #[test]
        fn contents_one_after_the_other_are_one_dictionary(
            dictionary in btree_map(text(), text(), 0..4),
        ) {
            let contents: Vec<_> = dictionary
                .iter()
                .map(|entry| {
                    let content = Content::default();
                    content.of(|| BTreeMap::from([entry])).unwrap().to_vec()
                })
                .collect();
            let plain = to_bytes(native(), &dictionary).unwrap();
            prop_assert_eq!(&*to_bytes(native(), &Parts(contents)).unwrap(), &*plain);
        }
    }
}
