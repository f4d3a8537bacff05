//! Commands that write to the unit's buffers and read them again: tests of the way there and back.

commands! {
    /// SPC-4 "WRITE BUFFER command".
    write_buffer write_buffer "WRITE BUFFER" 0x3b, 10 {
        MODE: u8 = 1, 4, 5;
        BUFFER_ID: u8 = 2, 7, 8;
        BUFFER_OFFSET: u32 = 3, 7, 24;
        PARAMETER_LIST_LENGTH: u32 = 6, 7, 24;
    } = 0 {
        MODE_SPECIFIC = 1, 7, 3;
    }

    /// SPC-4 "READ BUFFER command".
    read_buffer read_buffer "READ BUFFER" 0x3c, 10 {
        MODE: u8 = 1, 4, 5;
        BUFFER_ID: u8 = 2, 7, 8;
        BUFFER_OFFSET: u32 = 3, 7, 24;
        ALLOCATION_LENGTH: u32 = 6, 7, 24;
    } = 0 {
        MODE_SPECIFIC = 1, 7, 3;
    }
}
