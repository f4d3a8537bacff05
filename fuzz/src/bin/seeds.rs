//! Writes what a fuzzer begins with: `seeds CORPUS` fills a folder of inputs for each target, and beside it `TARGET.dict`
//! if there are words that help.
#![expect(clippy::disallowed_methods, reason = "it writes files, and is no part of felio")]

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let corpus = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "fuzz/corpus".into()));
    for target in felio_fuzz::TARGETS {
        let folder = corpus.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
        // libFuzzer's format: a quoted word a line.
        let words: String = (target.words)().iter().map(|word| format!("\"{word}\"\n")).collect();
        if !words.is_empty() {
            std::fs::write(folder.with_extension("dict"), words)?;
        }
    }
    Ok(())
}
