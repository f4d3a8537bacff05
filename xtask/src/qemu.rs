//! `cargo xtask qemu`: QEMU's own tools over `iscsi://`, with CHAP and digests.

use crate::host::{self, Felio, say};
use anyhow::ensure;
use std::path::Path;
use std::process::{Command, ExitCode};

const PROGRAMS: &[(&str, &str)] =
    &[("qemu-img", "qemu-utils"), ("../lib/x86_64-linux-gnu/qemu/block-iscsi.so", "qemu-block-extra")];
const USER: &str = "qemu-user";
const SECRET: &str = "sixteen-byte-key";

/// Runs qemu-img convert, compare and bench and qemu-io against felio, with CHAP, with and without header digests.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Carries the command out.
pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    host::install(PROGRAMS)?;
    let workspace = host::workspace()?;
    let program = host::build_felio(&workspace.target)?;
    let work = workspace.target.join("qemu");
    std::fs::create_dir_all(&work)?;
    std::fs::write(work.join("secret"), SECRET)?;
    let mut passed = 0;
    for digest in ["none", "crc32c"] {
        for cache in ["write-back", "write-through"] {
            exercise(&program, &work, digest, cache)?;
            say(&format!("qemu: header digest {digest}, {cache}: convert, compare, bench and io agree"))?;
            passed += 1;
        }
    }
    say(&format!("qemu: {passed} passed, 0 failed"))?;
    Ok(ExitCode::SUCCESS)
}

fn exercise(program: &Path, work: &Path, digest: &str, cache: &str) -> anyhow::Result<()> {
    let (image, source, back) = (work.join("disk.img"), work.join("source.img"), work.join("back.img"));
    for file in [&image, &source, &back] {
        // There may be none yet.
        let _ = std::fs::remove_file(file);
    }
    write_pattern(&source)?;
    let secret = work.join("secret");
    let words = [
        "--chap-user",
        USER,
        "--chap-password-file",
        &secret.display().to_string(),
        "--cache",
        cache,
        "--size",
        "64M",
        &image.display().to_string(),
    ]
    .map(str::to_owned);
    let felio = Felio::export(program, &words)?;
    let disk = format!(
        "driver=iscsi,transport=tcp,portal={},target={},lun=0,user={USER},password-secret=chap,header-digest={digest}",
        felio.portal, felio.target
    );
    let object = format!("secret,id=chap,file={}", secret.display());
    let raw = |file: &Path| format!("driver=raw,file.driver=file,file.filename={}", file.display());
    let tool = |name: &str, verb: &[&str], args: &[&str]| -> anyhow::Result<()> {
        host::run(
            Command::new(name)
                .args(verb)
                .args(["--object", &object])
                .args(args)
                .stdout(std::process::Stdio::null()),
        )
    };
    let wrapped = format!(
        "driver=raw,{}",
        disk.split(',').map(|pair| format!("file.{pair}")).collect::<Vec<_>>().join(",")
    );
    tool("qemu-img", &["convert"], &["-n", "--image-opts", "--target-image-opts", &raw(&source), &wrapped])?;
    tool("qemu-img", &["compare"], &["--image-opts", &raw(&source), &wrapped])?;
    // qemu-img bench takes no secret object: name and secret go into the URL.
    let url = felio.url().replacen("iscsi://", &format!("iscsi://{USER}%{SECRET}@"), 1);
    for words in [&["-s", "4096", "-w", "--flush-interval=256"][..], &["-s", "65536"]] {
        let bench = ["bench", "-f", "raw", "-t", "none", "-c", "2000", "-d", "32"];
        host::run(
            Command::new("qemu-img").args(bench).args(words).arg(&url).stdout(std::process::Stdio::null()),
        )?;
    }
    let script = [
        "write -P 0x5a 1M 256k",
        "read -P 0x5a 1M 256k",
        "write -z 1M 64k",
        "read -P 0 1M 64k",
        "discard 2M 1M",
        "read -P 0 2M 1M",
        "write -f -P 7 0 4k",
        "flush",
        "read -P 7 0 4k",
    ];
    let commands: Vec<&str> = script.iter().flat_map(|line| ["-c", line]).collect();
    let output = Command::new("qemu-io")
        .args(["--object", &object, "--image-opts", &wrapped])
        .args(&commands)
        .output()?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && !text.contains("verification failed"), "qemu-io: {text}");
    ensure!(Felio::export(program, &words).is_err(), "a second felio took the same file");
    let beside = Command::new("qemu-io").args(["-f", "raw", "-c", "flush"]).arg(&image).output()?;
    ensure!(!beside.status.success(), "QEMU opened for writing what felio serves");
    refused_without_secret(&felio)?;
    tool("qemu-img", &["convert"], &["--image-opts", "-O", "raw", &wrapped, &back.display().to_string()])?;
    felio.stop()?;
    host::run(Command::new("cmp").args([&image, &back]))
}

fn refused_without_secret(felio: &Felio) -> anyhow::Result<()> {
    let output = Command::new("qemu-img").args(["info", &felio.url()]).output()?;
    ensure!(!output.status.success(), "felio let an initiator in that did not prove the secret");
    Ok(())
}

/// 64 MiB: data, holes and data again.
fn write_pattern(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::create(path)?;
    file.set_len(64 << 20)?;
    let mut state = 1u64;
    for chunk in (0..64u64).filter(|chunk| chunk % 3 != 1) {
        let mut data = vec![0u8; 1 << 20];
        for word in data.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all_at(&data, chunk << 20)?;
    }
    Ok(())
}
