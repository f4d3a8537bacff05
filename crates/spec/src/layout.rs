//! Data structures as fields: parameter data and pages, each a module.
//!
//! A structure reads `name, bytes { NAME: type = byte, most significant bit, width; }`, the fields as in
//! [`commands`](crate::commands). `BYTES` is the length of the fixed part. Fields that overlap fail the build.

use crate::field::Bits;

/// Structures to modules; see the head of this file.
macro_rules! layouts {
    ($(
        $(#[$doc:meta])*
        $module:ident, $bytes:literal {
            $($(#[$field_doc:meta])* $field:ident: $t:ty = $byte:literal, $msb:literal, $width:literal;)*
        }
    )*) => {$(
        $(#[$doc])*
        pub mod $module {
            use crate::field::Field;
            /// Length of the fixed part, bytes.
            pub const BYTES: usize = $bytes;
            $(
                #[doc = concat!("The field of that name: bit ", $msb, " of byte ", $byte, ", bits: ", $width, ".")]
                $(#[$field_doc])*
                pub const $field: Field<$t> = Field::new($byte, $msb, $width);
            )*
            const _: () = crate::layout::assert_apart::<$bytes>(&[$($field.bits),*]);
        }
    )*};
}
pub(crate) use layouts;

/// Fails the build where two fields overlap or one lies past the end.
pub(crate) const fn assert_apart<const BYTES: usize>(fields: &[Bits]) {
    let mut taken = [0u8; BYTES];
    let mut at = 0;
    while at < fields.len() {
        assert!(fields[at].read(&taken) == 0, "two fields overlap");
        fields[at].write(&mut taken, u64::MAX);
        assert!(fields[at].read(&taken) != 0 && fields[at].ends_within(BYTES), "a field lies past the end");
        at += 1;
    }
}
