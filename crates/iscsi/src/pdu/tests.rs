//! Every PDU against bytes written out by hand from the standard's figures, and the round trip as a property.

use super::*;
use proptest::prelude::*;

/// Bytes from text: hex digits, blanks ignored.
fn hex(text: &str) -> [u8; BHS_BYTES] {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    bytes.try_into().expect("48 bytes")
}

#[track_caller]
fn check(pdu: impl Into<AnyPdu>, wire: &str) {
    let bytes = hex(wire);
    let (emitted, parsed) = match pdu.into() {
        AnyPdu::Request(pdu) => (pdu.emit(), Request::parse(&Bhs(bytes)) == Ok(pdu)),
        AnyPdu::Response(pdu) => (pdu.emit(), Response::parse(&Bhs(bytes)) == Ok(pdu)),
    };
    assert_eq!(Bhs(emitted), Bhs(bytes));
    assert!(parsed);
}

enum AnyPdu {
    Request(Request),
    Response(Response),
}

macro_rules! any_pdu {
    ($($side:ident: $($name:ident),+;)+) => {
        $($(impl From<$name> for AnyPdu {
            fn from(pdu: $name) -> Self {
                Self::$side($side::from(pdu))
            }
        })+)+
    };
}

any_pdu! {
    Request: NopOut, ScsiCommand, TaskManagementRequest, LoginRequest, TextRequest, ScsiDataOut, LogoutRequest, SnackRequest;
    Response: NopIn, ScsiResponse, TaskManagementResponse, LoginResponse, TextResponse, ScsiDataIn, LogoutResponse, R2t,
        AsyncMessage, Reject;
}

const LUN: u64 = 0x0001_0203_0405_0607;
const ITT: TaskTag = TaskTag(0x1011_1213);
const TTT: TaskTag = TaskTag(0x2021_2223);
const CMD: Sn = Sn(0x3031_3233);
const STAT: Sn = Sn(0x4041_4243);
const MAX: Sn = Sn(0x5051_5253);
const DATA: Sn = Sn(0x6061_6263);
const ISID: [u8; 6] = [0x80, 0x12, 0x34, 0x56, 0x78, 0x9a];

#[test]
fn nop_out_is_as_drawn() {
    check(
        NopOut {
            immediate: true,
            data_segment_bytes: 5,
            lun: LUN,
            initiator_task_tag: ITT,
            target_transfer_tag: TaskTag::RESERVED,
            cmd_sn: CMD,
            exp_stat_sn: STAT,
        },
        "40800000 00000005 0001020304050607 10111213 ffffffff 30313233 40414243 00000000 00000000 00000000 00000000",
    );
}

#[test]
fn scsi_command_is_as_drawn() {
    check(
        ScsiCommand {
            immediate: false,
            final_pdu: true,
            read: true,
            write: false,
            attribute: TaskAttribute::SIMPLE,
            total_ahs_words: 2,
            data_segment_bytes: 0x01_0203,
            lun: LUN,
            initiator_task_tag: ITT,
            expected_data_bytes: 0x1000,
            cmd_sn: CMD,
            exp_stat_sn: STAT,
            cdb: [0x88, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        },
        "01c10000 02010203 0001020304050607 10111213 00001000 30313233 40414243 88010203 04050607 08090a0b 0c0d0e0f",
    );
}

#[test]
fn task_management_request_is_as_drawn() {
    check(
        TaskManagementRequest {
            immediate: true,
            function: TaskManagementFunction::ABORT_TASK,
            lun: LUN,
            initiator_task_tag: ITT,
            referenced_task_tag: TTT,
            cmd_sn: CMD,
            exp_stat_sn: STAT,
            ref_cmd_sn: MAX,
            exp_data_sn: DATA,
        },
        "42810000 00000000 0001020304050607 10111213 20212223 30313233 40414243 50515253 60616263 00000000 00000000",
    );
}

#[test]
fn login_request_is_as_drawn() {
    check(
        LoginRequest {
            transit: true,
            continued: false,
            current_stage: Stage::OPERATIONAL,
            next_stage: Stage::FULL_FEATURE,
            version_max: 0,
            version_min: 0,
            data_segment_bytes: 0x123,
            isid: ISID,
            tsih: 0xabcd,
            initiator_task_tag: ITT,
            cid: 0x0102,
            cmd_sn: CMD,
            exp_stat_sn: STAT,
        },
        "43870000 00000123 80123456789aabcd 10111213 01020000 30313233 40414243 00000000 00000000 00000000 00000000",
    );
}

#[test]
fn text_request_is_as_drawn() {
    check(
        TextRequest {
            immediate: false,
            final_pdu: false,
            continued: true,
            data_segment_bytes: 0x2000,
            lun: LUN,
            initiator_task_tag: ITT,
            target_transfer_tag: TTT,
            cmd_sn: CMD,
            exp_stat_sn: STAT,
        },
        "04400000 00002000 0001020304050607 10111213 20212223 30313233 40414243 00000000 00000000 00000000 00000000",
    );
}

#[test]
fn data_out_is_as_drawn() {
    check(
        ScsiDataOut {
            final_pdu: true,
            data_segment_bytes: 512,
            lun: LUN,
            initiator_task_tag: ITT,
            target_transfer_tag: TTT,
            exp_stat_sn: STAT,
            data_sn: DATA,
            buffer_offset: 0x1_0000,
        },
        "05800000 00000200 0001020304050607 10111213 20212223 00000000 40414243 00000000 60616263 00010000 00000000",
    );
}

#[test]
fn logout_request_is_as_drawn() {
    check(
        LogoutRequest {
            immediate: true,
            reason: LogoutReason::CLOSE_CONNECTION,
            initiator_task_tag: ITT,
            cid: 0x0102,
            cmd_sn: CMD,
            exp_stat_sn: STAT,
        },
        "46810000 00000000 0000000000000000 10111213 01020000 30313233 40414243 00000000 00000000 00000000 00000000",
    );
}

#[test]
fn snack_is_as_drawn() {
    check(
        SnackRequest {
            kind: SnackType::DATA_ACK,
            lun: LUN,
            initiator_task_tag: TaskTag::RESERVED,
            target_transfer_tag: TTT,
            exp_stat_sn: STAT,
            beg_run: DATA,
            run_length: 7,
        },
        "10820000 00000000 0001020304050607 ffffffff 20212223 00000000 40414243 00000000 00000000 60616263 00000007",
    );
}

#[test]
fn nop_in_is_as_drawn() {
    check(
        NopIn {
            data_segment_bytes: 0,
            lun: LUN,
            initiator_task_tag: TaskTag::RESERVED,
            target_transfer_tag: TTT,
            stat_sn: STAT,
            exp_cmd_sn: CMD,
            max_cmd_sn: MAX,
        },
        "20800000 00000000 0001020304050607 ffffffff 20212223 40414243 30313233 50515253 00000000 00000000 00000000",
    );
}

#[test]
fn scsi_response_is_as_drawn() {
    check(
        ScsiResponse {
            bidirectional_overflow: true,
            bidirectional_underflow: false,
            overflow: false,
            underflow: true,
            response: ScsiResponseCode::COMPLETED,
            status: 2,
            data_segment_bytes: 20,
            initiator_task_tag: ITT,
            snack_tag: TaskTag(0),
            stat_sn: STAT,
            exp_cmd_sn: CMD,
            max_cmd_sn: MAX,
            exp_data_sn: DATA,
            bidirectional_residual_bytes: 8,
            residual_bytes: 9,
        },
        "21920002 00000014 0000000000000000 10111213 00000000 40414243 30313233 50515253 60616263 00000008 00000009",
    );
}

#[test]
fn task_management_response_is_as_drawn() {
    check(
        TaskManagementResponse {
            response: TaskManagementResponseCode::REJECTED,
            initiator_task_tag: ITT,
            stat_sn: STAT,
            exp_cmd_sn: CMD,
            max_cmd_sn: MAX,
        },
        "2280ff00 00000000 0000000000000000 10111213 00000000 40414243 30313233 50515253 00000000 00000000 00000000",
    );
}

#[test]
fn login_response_is_as_drawn() {
    check(
        LoginResponse {
            transit: false,
            continued: true,
            current_stage: Stage::SECURITY,
            next_stage: Stage::OPERATIONAL,
            version_max: 0,
            version_active: 0,
            data_segment_bytes: 1,
            isid: ISID,
            tsih: 0xabcd,
            initiator_task_tag: ITT,
            stat_sn: STAT,
            exp_cmd_sn: CMD,
            max_cmd_sn: MAX,
            status: LoginStatus::MISSING_PARAMETER,
        },
        "23410000 00000001 80123456789aabcd 10111213 00000000 40414243 30313233 50515253 02070000 00000000 00000000",
    );
}

#[test]
fn text_response_is_as_drawn() {
    check(
        TextResponse {
            final_pdu: true,
            continued: false,
            data_segment_bytes: 64,
            lun: LUN,
            initiator_task_tag: ITT,
            target_transfer_tag: TaskTag::RESERVED,
            stat_sn: STAT,
            exp_cmd_sn: CMD,
            max_cmd_sn: MAX,
        },
        "24800000 00000040 0001020304050607 10111213 ffffffff 40414243 30313233 50515253 00000000 00000000 00000000",
    );
}

#[test]
fn data_in_with_status_is_as_drawn() {
    check(
        ScsiDataIn {
            final_pdu: true,
            acknowledge: false,
            overflow: false,
            underflow: true,
            status_present: true,
            status: 0,
            data_segment_bytes: 36,
            lun: 0,
            initiator_task_tag: ITT,
            target_transfer_tag: TaskTag::RESERVED,
            stat_sn: STAT,
            exp_cmd_sn: CMD,
            max_cmd_sn: MAX,
            data_sn: DATA,
            buffer_offset: 0x100,
            residual_bytes: 220,
        },
        "25830000 00000024 0000000000000000 10111213 ffffffff 40414243 30313233 50515253 60616263 00000100 000000dc",
    );
}

#[test]
fn logout_response_is_as_drawn() {
    check(
        LogoutResponse {
            response: LogoutResponseCode::CID_NOT_FOUND,
            initiator_task_tag: ITT,
            stat_sn: STAT,
            exp_cmd_sn: CMD,
            max_cmd_sn: MAX,
            time_to_wait: 2,
            time_to_retain: 20,
        },
        "26800100 00000000 0000000000000000 10111213 00000000 40414243 30313233 50515253 00000000 00020014 00000000",
    );
}

#[test]
fn r2t_is_as_drawn() {
    check(
        R2t {
            lun: LUN,
            initiator_task_tag: ITT,
            target_transfer_tag: TTT,
            stat_sn: STAT,
            exp_cmd_sn: CMD,
            max_cmd_sn: MAX,
            r2t_sn: DATA,
            buffer_offset: 0x2000,
            desired_bytes: 0x4000,
        },
        "31800000 00000000 0001020304050607 10111213 20212223 40414243 30313233 50515253 60616263 00002000 00004000",
    );
}

#[test]
fn async_message_is_as_drawn() {
    check(
        AsyncMessage {
            data_segment_bytes: 0,
            lun: 0,
            initiator_task_tag: TaskTag::RESERVED,
            stat_sn: STAT,
            exp_cmd_sn: CMD,
            max_cmd_sn: MAX,
            event: AsyncEvent::LOGOUT_REQUESTED,
            vendor_code: 0,
            parameter1: 1,
            parameter2: 2,
            parameter3: 3,
        },
        "32800000 00000000 0000000000000000 ffffffff 00000000 40414243 30313233 50515253 01000001 00020003 00000000",
    );
}

#[test]
fn reject_is_as_drawn() {
    check(
        Reject {
            reason: RejectReason::PROTOCOL_ERROR,
            data_segment_bytes: 48,
            initiator_task_tag: TaskTag::RESERVED,
            stat_sn: STAT,
            exp_cmd_sn: CMD,
            max_cmd_sn: MAX,
            data_sn: DATA,
        },
        "3f800400 00000030 0000000000000000 ffffffff 00000000 40414243 30313233 50515253 60616263 00000000 00000000",
    );
}

#[test]
fn an_unknown_opcode_survives_and_prints_as_its_number() {
    let mut bhs = Bhs::default();
    bhs.set(field::OPCODE, 0x1f);
    assert_eq!(Request::parse(&bhs), Err(Malformed::UnknownOpcode(Opcode(0x1f))));
    assert_eq!(Opcode(0x5f).to_string(), "Opcode(0x5f)");
}

#[test]
fn a_response_is_no_request() {
    assert_eq!(Request::parse(&Bhs::new(Opcode::R2T)), Err(Malformed::UnknownOpcode(Opcode::R2T)));
}

#[test]
fn an_unknown_function_survives() {
    let mut bhs = Bhs::new(Opcode::TASK_MANAGEMENT_REQUEST);
    bhs.set(field::task_management::FUNCTION, 0x7e);
    assert_eq!(TaskManagementRequest::parse(&bhs).unwrap().function, TaskManagementFunction(0x7e));
}

const REQUESTS: [Opcode; 8] = [
    NopOut::OPCODE,
    ScsiCommand::OPCODE,
    TaskManagementRequest::OPCODE,
    LoginRequest::OPCODE,
    TextRequest::OPCODE,
    ScsiDataOut::OPCODE,
    LogoutRequest::OPCODE,
    SnackRequest::OPCODE,
];

const RESPONSES: [Opcode; 10] = [
    NopIn::OPCODE,
    ScsiResponse::OPCODE,
    TaskManagementResponse::OPCODE,
    LoginResponse::OPCODE,
    TextResponse::OPCODE,
    ScsiDataIn::OPCODE,
    LogoutResponse::OPCODE,
    R2t::OPCODE,
    AsyncMessage::OPCODE,
    Reject::OPCODE,
];

fn any_header() -> impl Strategy<Value = Bhs> {
    (any::<[u8; 24]>(), any::<[u8; 24]>()).prop_map(|(front, back)| {
        let mut bytes = [0; BHS_BYTES];
        bytes[..24].copy_from_slice(&front);
        bytes[24..].copy_from_slice(&back);
        Bhs(bytes)
    })
}

proptest! {
    #[test]
    fn what_was_parsed_survives_emit_and_parse(header in any_header()) {
        for opcode in REQUESTS {
            let mut bhs = header;
            bhs.set(field::OPCODE, opcode.0);
            let pdu = Request::parse(&bhs).unwrap();
            prop_assert_eq!(Request::parse(&Bhs(pdu.emit())), Ok(pdu));
        }
        for opcode in RESPONSES {
            let mut bhs = header;
            bhs.set(field::OPCODE, opcode.0);
            let pdu = Response::parse(&bhs).unwrap();
            prop_assert_eq!(Response::parse(&Bhs(pdu.emit())), Ok(pdu));
        }
    }

    #[test]
    fn random_headers_never_panic(header in any_header()) {
        let _ = (Request::parse(&header), Response::parse(&header), format!("{header:?}"));
    }
}
